"""The browser of the browser tests: the one on PATH, or Debian's package."""

import os
import shutil
import subprocess

from connector.launcher.children import LauncherError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # root uses it too
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=120", "-qq")


def find() -> str | None:
    """The path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure() -> None:
    """Install Chromium where it is missing and we may. Raises LauncherError with what to do."""
    if find():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LauncherError(
            "Chromium is missing: as root, apt-get install chromium; or leave its tests out with BROWSER=0."
        )
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (("update",), ("install", "--yes", "--no-install-recommends", "chromium")):
        done = subprocess.run([*APT, *words], env=env, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise LauncherError(f"Chromium cannot be installed ({said}): install it, or set BROWSER=0.")
