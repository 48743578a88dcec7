"""A Shopify that says exactly what a test tells it to, over real HTTP."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.utils import timezone

from shopify_app.models import Shop

EXAMPLES = Path(__file__).parent / "contract" / "shopify"
DOMAIN = "tts-demo-store.myshopify.com"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def make_shop(**fields: Any) -> Shop:
    """A connected shop whose access token lives another hour."""
    now = timezone.now()
    tokens = {"access_token": "shpat_1", "refresh_token": "shprt_1", "previous_refresh": ""}
    tokens |= {name: fields.pop(name) for name in tokens if name in fields}
    facts = {
        "domain": DOMAIN,
        "gid": "gid://shopify/Shop/1",
        "scopes": ",".join(settings.SHOPIFY_SCOPES),
        "access_expires_at": now + timedelta(hours=1),
        "refresh_expires_at": now + timedelta(days=90),
        "installed_at": now - timedelta(days=1),
    }
    return Shop.objects.create(**(facts | {name: sealed(token) for name, token in tokens.items()} | fields))


def sealed(token: str) -> str:
    return settings.TOKEN_CIPHER.encrypt(token.encode()).decode() if token else ""


def opened(stored: str) -> str:
    return settings.TOKEN_CIPHER.decrypt(stored.encode()).decode()


@dataclass
class Answer:
    """One answer. `drop` closes the connection instead, `truncated` sends half of it, `delay` waits first."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    truncated: bool = False
    delay: float = 0


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: Any


class ScriptedShopify:
    """Answers from a list, in order; a callable makes its answer from the request. Keeps every request."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[Request], Answer]] = []
        self.always: Callable[[Request], Answer] | None = None
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.owner = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def says(self, *answers: Any, **more: Any) -> None:
        """Queue answers: bodies with status 200, or Answer objects."""
        self.script += [a if isinstance(a, Answer) or callable(a) else Answer(a, **more) for a in answers]

    def sent(self, number: int = -1) -> dict[str, Any]:
        """The variables of a GraphQL request."""
        return self.requests[number].body["variables"]

    def answer_to(self, request: Request) -> Answer:
        with self.lock:
            self.requests.append(request)
            chosen = self.script.pop(0) if self.script else self.always
        assert chosen is not None, f"nobody expected {request.path}"
        return chosen if isinstance(chosen, Answer) else chosen(request)


class _Server(ThreadingHTTPServer):
    owner: ScriptedShopify
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.owner.answer_to(Request(self.path, dict(self.headers), json.loads(body)))
        time.sleep(answer.delay)
        if answer.drop:
            self.close_connection = True
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if answer.truncated:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
