"""What Sentry gets when something breaks: a real report of a process of its own, taken at a port of ours."""

import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PRIVATE = (
    "Ana Silva",
    "10 Example Street",
    "ana@example.com",
    "c0de-of-a-consent",
    "eyJhbGci-session-token",
    "shpat_access",
    "the-users-cookie",
    "203.0.113.9",
)
# An address that needs the database meets one that does not answer: the exception leaves Django itself.
SCRIPT = """
import logging
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults
import sentry_sdk
from connector.wsgi import django as application
from django.core import signing

state = signing.dumps(["n", "US", "a.myshopify.com", "42"], salt="connector.consent", compress=True)
environ = {
    "PATH_INFO": "/tiktok/callback",
    "QUERY_STRING": urlencode({"code": "c0de-of-a-consent", "state": state}),
    "HTTP_HOST": "127.0.0.1",
    "HTTP_AUTHORIZATION": "Bearer eyJhbGci-session-token",
    "HTTP_COOKIE": "c=the-users-cookie",
    "REMOTE_ADDR": "203.0.113.9",
}
setup_testing_defaults(environ)
buyer = {"name": "Ana Silva", "address_line1": "10 Example Street"}
application(environ, lambda status, headers: print(status))
access_token = "shpat_access"
try:
    raise RuntimeError(f"no answer of https://x.example/token?app_secret=shpat_access for ana@example.com")
except RuntimeError:
    logging.getLogger("connector.work").exception(
        "step failed", extra={"row": "order:1", "token": access_token, "buyer_name": "Ana Silva",
                              "facts": {"email": "ana@example.com", "order": "577"}})
sentry_sdk.flush(10)
"""


@pytest.fixture
def sentry():
    """A port that takes reports as Sentry does."""
    taken: list[dict] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            lines = body.split(b"\n")
            taken.extend(
                json.loads(line) for line in lines if line.startswith(b"{") and b'"event_id"' in line
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, taken
    server.shutdown()
    server.server_close()


def test_a_report_says_what_broke_and_nothing_of_a_buyer_a_user_or_a_secret(sentry):
    server, taken = sentry
    env = dict(os.environ) | {
        "SENTRY_DSN": f"http://key@127.0.0.1:{server.server_port}/1",
        "DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
        "DJANGO_SETTINGS_MODULE": "connector.settings",
        "LOG_FORMAT": "json",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "500 Internal Server Error\n"), done.stderr
    reports = [one for one in taken if "exception" in one]
    kinds = {one["exception"]["values"][-1]["type"] for one in reports}
    assert kinds == {"OperationalError", "RuntimeError"}
    sent = json.dumps(taken)
    assert [word for word in PRIVATE if word in sent] == []
    requests = [one["request"] for one in reports if "request" in one]
    assert {"method": "GET", "url": "http://127.0.0.1/tiktok/callback"} in requests
    assert all(request.keys() <= {"method", "url"} for request in requests)
    assert '"order:1"' in sent and "577" in sent  # what helps is there
    assert not any("breadcrumbs" in one and one["breadcrumbs"]["values"] for one in taken)
    assert [word for word in PRIVATE if word in done.stderr] == []
