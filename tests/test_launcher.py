"""connector/launcher: real engines, real processes, real signals."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from connector.launcher.children import engine_account
from connector.launcher.engines import (
    Postgres,
    bring_down,
    bring_up,
    check_reachable,
    socket_folder,
)
from connector.launcher.processes import Stopped, Watch
from connector.launcher.stack import manage_up

PROJECT = Path(__file__).resolve().parent.parent
CODE = ("connector", "tiktok", "shopify_app", "templates", "static", "manage.py", "shopify.app.toml")
SETTINGS = (
    "SECRET_KEY",
    "TOKEN_ENCRYPTION_KEYS",
    "SHOPIFY_API_KEY",
    "SHOPIFY_API_SECRET",
    "TIKTOK_APP_KEY",
    "TIKTOK_APP_SECRET",
    "TIKTOK_SERVICE_ID",
)


class Launcher:
    """A copy of the project in a folder with a space in its name, and the launcher in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in CODE:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, folder / name)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.env = {name: os.environ[name] for name in (*SETTINGS, "PATH")} | {
            "APP_URL": "https://app.test",
            "ALLOWED_HOSTS": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_PROCESSES": "1",
        }
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *words: str) -> subprocess.Popen[str]:
        with (self.folder / "out.txt").open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "connector.launcher", *words],
                cwd=self.folder,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.processes.append(process)
        return process

    def complaint(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "connector.launcher", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr.strip()

    def is_ready(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/readyz"
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=5) as reply,
        ):
            return reply.status == 200
        return False

    def said(self) -> str:
        return (self.folder / "out.txt").read_text()

    def alive(self) -> list[psutil.Process]:
        """Every process that runs out of the copy, whoever its parent is."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                ours = str(self.folder) in " ".join([process.cwd(), *process.cmdline()])
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def program(self, word: str) -> psutil.Process | None:
        """The launcher's own child whose command holds the word."""
        for child in psutil.Process(self.processes[-1].pid).children():
            with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                if word in " ".join(child.cmdline()):
                    return child
        return None

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("launcher") / "a folder")
    yield launcher
    launcher.stop()


def eventually(check: Callable[[], object], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


@pytest.fixture
def cluster(tmp_path) -> Iterator[Callable[[], tuple[Postgres, subprocess.Popen[bytes]]]]:
    account = engine_account()
    check_reachable(account)
    sockets = socket_folder(account)
    postgres = Postgres(sockets / "a folder with data", sockets, tmp_path / "log", account)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[Postgres, subprocess.Popen[bytes]]:
        started.append(bring_up(postgres))
        return postgres, started[-1]

    yield start
    for child in started:
        if child.poll() is None:
            bring_down(child, postgres)
    shutil.rmtree(sockets)


def test_postgres_listens_on_a_private_socket_only(cluster):
    postgres, child = cluster()
    assert not psutil.Process(child.pid).net_connections("tcp")
    assert postgres.sockets.stat().st_mode & 0o077 == 0
    with psycopg.connect(
        postgres.url.replace("/%2F", "/connector?host=%2F").removesuffix("/connector")
    ) as database:
        assert database.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_after_a_kill_postgres_starts_again_with_its_data(cluster):
    postgres, child = cluster()
    with psycopg.connect(host=str(postgres.sockets), user="connector", dbname="connector") as database:
        database.execute("CREATE TABLE kept AS SELECT 1 AS one")
    child.kill()
    child.wait()
    cluster()
    with psycopg.connect(host=str(postgres.sockets), user="connector", dbname="connector") as database:
        assert database.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_stale_pid_neither_blocks_postgres_nor_ends_the_innocent(cluster):
    postgres, child = cluster()
    content = (postgres.data / "postmaster.pid").read_text()
    bring_down(child, postgres)
    account = engine_account()
    innocent = subprocess.Popen(["sleep", "60"], user=account.uid if account.is_other else None)
    try:
        for lock in (postgres.data / "postmaster.pid", postgres.sockets / ".s.PGSQL.5432.lock"):
            lock.write_text(content.replace(str(child.pid), str(innocent.pid), 1))
            os.chown(lock, account.uid, account.gid)
        cluster()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_up_names_the_missing_value_in_one_line(project):
    key = project.env.pop("SHOPIFY_API_SECRET")
    assert project.complaint("up") == "?: (connector.E005) SHOPIFY_API_SECRET is not set."
    project.env["SHOPIFY_API_SECRET"] = key


def test_up_shows_contradicting_settings_with_their_id(project):
    project.env["WORK_LEASE_SECONDS"] = "5"
    complaint = project.complaint("up")
    assert "connector.E001" in complaint and "Traceback" not in complaint
    del project.env["WORK_LEASE_SECONDS"]


def test_a_run_folder_of_somebody_else_is_one_clear_line(tmp_path):
    launcher = Launcher(tmp_path)
    if os.geteuid() == 0:
        (tmp_path / ".run").mkdir()
        os.chown(tmp_path / ".run", 65534, 65534)
    else:
        (tmp_path / ".run").symlink_to("/")
    complaint = launcher.complaint("up")
    assert "belongs to" in complaint and len(complaint.splitlines()) == 1


def test_up_brings_everything_up_heals_it_and_leaves_nothing_behind(project):
    first = project.start("up")
    eventually(project.is_ready)

    assert "runs already here" in project.complaint("up")

    for word in ("granian", "clock", "rqworker", "bin/postgres", "valkey-server"):
        killed = project.program(word)
        assert killed is not None
        killed.kill()
        eventually(lambda word=word, old=killed.pid: (new := project.program(word)) and new.pid != old)
    eventually(project.is_ready)
    assert "ended (signal SIGKILL), starts again in 1 s" in project.said()

    first.kill()
    first.wait()
    eventually(lambda: not project.alive(), seconds=20)

    kept = project.folder / ".run/store/postgres"
    same = (kept / "PG_VERSION").stat().st_ino
    kept.rename(project.folder / ".run/postgres")  # where earlier versions had it
    second = project.start("up")
    eventually(project.is_ready)
    assert "of an earlier version, is now" in project.said()
    assert (kept / "PG_VERSION").stat().st_ino == same
    began = time.monotonic()
    second.send_signal(signal.SIGINT)
    assert second.wait(60) == 0
    assert time.monotonic() - began < 20
    assert not project.alive()


def test_a_taken_port_is_passed_over_and_said(project):
    with socket.create_server(("127.0.0.1", project.port)):
        process = project.start("up")
        eventually(lambda: f"{project.port} is taken by another program" in project.said())
    process.terminate()
    assert process.wait(60) == 0


def test_a_request_to_stop_that_got_lost_on_its_way_is_heard_at_the_next_look():
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    watch = Watch()
    watch.listen_for_signals()
    try:
        with contextlib.suppress(Stopped):  # as Python does around a fork's own callbacks
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # for our parent's end: the same request
        with pytest.raises(Stopped):
            watch.look()
        watch.stop()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_the_procfile_starts_what_the_launcher_starts():
    lines = dict(line.split(": ", 1) for line in (PROJECT / "Procfile").read_text().splitlines())
    source = (PROJECT / "connector/launcher/stack.py").read_text()
    assert {"web", "worker", "clock"} <= lines.keys()
    for word in ("connector.worker.ShopWorker", "connector.wsgi:application", "rqworker", "granian"):
        assert word in source and any(word in line for line in lines.values())


def test_make_clean_forgets_the_demo_and_leaves_a_stores_data(tmp_path):
    shutil.copy(PROJECT / "Makefile", tmp_path / "Makefile")
    demo, store, former = (
        tmp_path / ".run" / name for name in ("demo/postgres", "store/postgres", "postgres")
    )
    for data in (demo, store, former):
        data.mkdir(parents=True)
    subprocess.run(["make", "clean"], cwd=tmp_path, capture_output=True, check=True)
    assert (demo.exists(), store.exists(), former.exists()) == (False, True, True)


def test_the_demos_secrets_are_made_once_and_for_their_owner(tmp_path):
    from connector.launcher.environment import demo_keys

    file = tmp_path / "keys.json"
    keys = demo_keys(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert demo_keys(file) == keys == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("refused", "complaint"),
    [("version_info", "Python 3.11 or newer is needed"), ("ensurepip", "Python's venv module is missing")],
)
def test_make_says_in_one_line_what_the_machine_lacks(tmp_path, refused, complaint):
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(PROJECT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *{refused}*) exit 1;; esac\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert done.returncode and len(said) == 1 and complaint in said[0]
    assert not (tmp_path / ".venv").exists()


def test_a_manage_command_beside_a_running_up_gets_its_engines(tmp_path, monkeypatch):
    monkeypatch.delenv("REDIS_URL")
    (tmp_path / "engines.json").write_text('{"REDIS_URL": "redis://127.0.0.1:9/7"}')
    asked = "from django.conf import settings; import sys; sys.exit(settings.REDIS_URL.endswith('/7'))"
    assert manage_up(["shell", "-c", asked], tmp_path) == 1
