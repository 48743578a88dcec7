"""Whether a known vulnerability touches a package that we run. Without a way to the service: one line, no failure."""

import json
import subprocess
import sys
from typing import Any

from connector.launcher.children import LauncherError
from connector.launcher.processes import say

# The pins are complete, so nothing has to be resolved or installed.
COMMAND = ("pip_audit", "-r", "requirements.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off")
SERVICE_SECONDS = "5"
PATIENCE = 120.0  # for all of them


def check() -> None:
    """Raises LauncherError with every finding on a line of its own."""
    say("audit", verdict(*asked()))


def asked() -> tuple[str, str]:
    """What pip-audit found, as JSON, and what it complained of."""
    words = [sys.executable, "-m", *COMMAND, "--timeout", SERVICE_SECONDS, "--format", "json"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603
    except subprocess.TimeoutExpired:
        return "", f"no answer within {PATIENCE:g} s"
    return done.stdout, done.stderr


def verdict(found: str, complaint: str) -> str:
    try:
        packages: list[dict[str, Any]] = json.loads(found)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complaint.strip().splitlines() or ["no answer"])[-1]
        return f"not done, the service cannot be reached: {last[:120]}"
    findings = [
        f"{one['name']} {one['version']}: {hole['id']}, fixed in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in packages
        for hole in one.get("vulns", ())
    ]
    if findings:
        raise LauncherError("\n".join(["known vulnerabilities:", *findings]))
    known = sum("vulns" in one for one in packages)
    if not known:
        return "not done, the service knows none of the packages: is this a mirror?"
    return f"{known} of {len(packages)} packages known to the service, none with a known vulnerability"
