"""One PostgreSQL and one Valkey for the whole test run, started before Django reads its settings.

The process that starts the run owns the engines. xdist's workers inherit the environment; each has its own
database (pytest-django adds the worker's name) and its own Valkey database.
"""

import atexit
import os
import threading
from collections.abc import Iterator
from concurrent.futures import wait

import django
import hypothesis
import pytest
import redis
from django.conf import settings
from django.db import connections

from connector.launcher.engines import throwaway_engines
from connector.launcher.environment import environment_for_tests

pytest_plugins = ["world", "browsing"]
# No test is timed, and a busy machine makes an example slow.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def start_engines() -> None:
    engines = throwaway_engines()
    os.environ.update(environment_for_tests(*engines.__enter__()))
    os.environ["TEST_ENGINES"] = "1"
    atexit.register(engines.__exit__, None, None, None)


if "TEST_ENGINES" not in os.environ:
    start_engines()
if WORKER:
    number = int(WORKER.removeprefix("gw")) + 1
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].replace("?db=0", f"?db={number}")
os.environ["DJANGO_SETTINGS_MODULE"] = (
    "connector.settings"  # not in pyproject.toml: that would be read too early
)
django.setup()

from connector import jobs  # noqa: E402  (needs Django set up)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Workers must not read the settings before this file has given them their Valkey database."""
    if not WORKER and session.config.getoption("numprocesses", None):
        del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures that tests recorded, also those of xdist's workers."""
    for report in terminalreporter.getreports("passed"):
        for name, words in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(str(words))


@pytest.fixture(autouse=True)
def _empty_valkey() -> Iterator[None]:
    yield
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.flushdb()


@pytest.fixture(scope="session", autouse=True)
def _close_row_threads(django_db_setup: None) -> Iterator[None]:
    """The drain's threads keep their database connections; the test database cannot be dropped under them."""
    yield
    for pool, size in ((jobs.turns.pool, jobs.turns.at_once), (jobs.pool, settings.DRAIN_THREADS)):
        together = threading.Barrier(size)
        wait([pool.submit(close_connections, together) for _ in range(size)])


def close_connections(together: threading.Barrier) -> None:
    """Each thread of a pool meets the others here once, as none can be told to run something."""
    together.wait()
    connections.close_all()
