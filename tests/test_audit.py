"""`make lint` looks for known vulnerabilities: a finding fails, a machine without a network does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from connector.launcher import audit
from connector.launcher.children import LauncherError

PROJECT = Path(__file__).resolve().parent.parent
FINE = {"name": "django", "version": "5.2.19", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI"}
HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["2.34.3"]}


def told(*packages: dict) -> str:
    return json.dumps({"dependencies": packages})


def test_a_package_with_a_known_vulnerability_fails_and_is_named_with_the_version_that_mends_it():
    with pytest.raises(LauncherError, match="requests 2.34.2: PYSEC-2026-1, fixed in 2.34.3"):
        audit.verdict(told(FINE, {"name": "requests", "version": "2.34.2", "vulns": [HOLE]}), "")


def test_packages_without_one_pass():
    assert audit.verdict(told(FINE, UNKNOWN), "") == (
        "1 of 2 packages known to the service, none with a known vulnerability"
    )


@pytest.mark.parametrize("found", ["", "no json", told(UNKNOWN, UNKNOWN), "[]"])
def test_an_answer_that_says_nothing_passes_and_says_that_nothing_was_audited(found):
    assert audit.verdict(found, "Max retries exceeded").startswith("not done")


def test_without_a_network_it_prints_one_line_and_passes():
    env = os.environ | {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    words = [sys.executable, "-m", "connector.launcher", "audit"]
    done = subprocess.run(words, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 and "not done" in done.stdout
