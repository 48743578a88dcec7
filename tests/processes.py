"""A line of the Procfile on the test's database and platforms, as processes of their own."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import connection

PROJECT = Path(__file__).parent.parent


class running:  # noqa: N801  (reads as a statement)
    def __init__(self, name: str, **env: str) -> None:
        base, _, query = os.environ["DATABASE_URL"].partition("?")
        database = connection.settings_dict["NAME"]
        tiktok = settings.TIKTOK_APPS["US"]
        [line] = [
            line.removeprefix(f"{name}: python ")
            for line in (PROJECT / "Procfile").read_text().splitlines()
            if line.startswith(f"{name}: python ")
        ]
        self.command = f"exec {sys.executable} {line}"
        self.env = os.environ | {
            "DATABASE_URL": f"{base.rsplit('/', 1)[0]}/{database}" + (f"?{query}" if query else ""),
            "APP_URL": settings.APP_URL,
            "SHOPIFY_SHOP_URL": settings.SHOPIFY_SHOP_URL,
            "TIKTOK_APP_KEY": tiktok["app_key"],
            "TIKTOK_APP_SECRET": tiktok["app_secret"],
            "TIKTOK_API_URL": tiktok["api_url"],
            "TIKTOK_AUTH_URL": tiktok["auth_url"],
            **env,
        }

    def __enter__(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            ["sh", "-c", self.command], cwd=PROJECT, env=self.env, start_new_session=True
        )
        return self.process

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):  # where all of them have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
