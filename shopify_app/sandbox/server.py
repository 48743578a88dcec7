"""The sandbox's HTTP: the Admin API, the token endpoint, the stand-in admin, and the tests' control panel."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from shopify_app.sandbox import control, frame, tokens
from shopify_app.sandbox.engine import THROTTLED, Operation
from shopify_app.sandbox.faults import Fault

if TYPE_CHECKING:
    from shopify_app.sandbox import ShopifySandbox
    from shopify_app.sandbox.shop import ShopState

API = re.compile(r"(?:/shops)?/(?P<domain>[^/]+)/admin/api/(?P<version>[^/]+)/graphql\.json")
TOKEN = re.compile(r"(?:/shops)?/(?P<domain>[^/]+)/admin/oauth/access_token")
VERSION = re.compile(r"\d{4}-(01|04|07|10)")
BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"
EMPTY_BUCKET = {
    "requestedQueryCost": 10,
    "actualQueryCost": None,
    "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0},
}
CLOSED = {
    402: "This shop is currently frozen",
    403: "[API] This action requires merchant approval",
    423: "This shop is locked",
}


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    raw = json.dumps(body, ensure_ascii=False, default=str).encode()
    return Answer(status, raw, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def __init__(self, host: str, port: int, sandbox: ShopifySandbox) -> None:
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((host, port), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        try:
            super().finish_request(request, client_address)
        except (ConnectionError, TimeoutError):
            return  # the caller left, as callers do
        finally:
            with self._open_lock:
                self._open.discard(request)

    def hang_up(self) -> None:
        """Close what callers keep open; nothing answers after stop()."""
        with self._open_lock:
            for connection in self._open:
                _shut(connection)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ShopifySandbox"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:
        self._serve("GET", b"")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the caller died while it spoke: nobody asked for anything
            self.close_connection = True
            return
        self._serve("POST", body)

    def do_OPTIONS(self) -> None:
        self._send(Answer(204, headers=CROSS_ORIGIN))

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: tests read the ledger instead."""

    def _serve(self, method: str, body: bytes) -> None:
        sandbox = self.server.sandbox
        url = urlsplit(self.path)
        if match := API.fullmatch(url.path):
            self._admin_api(sandbox, match["domain"], match["version"], body)
        elif match := TOKEN.fullmatch(url.path):
            self._token(sandbox, match["domain"], body)
        elif url.path.startswith("/_sandbox/"):
            answer = control.answer(sandbox, method, url.path.removeprefix("/_sandbox/"), _read_json(body))
            self._send(json_answer(*answer, CROSS_ORIGIN))
        else:
            self._send(_page_answer(sandbox, url.path, dict(parse_qsl(url.query))))

    def _admin_api(self, sandbox: ShopifySandbox, domain: str, version: str, body: bytes) -> None:
        sandbox.answering.begin()
        if sandbox.settings.latency:
            time.sleep(sandbox.settings.latency)
        call = _Call.read(sandbox, body)
        fault = sandbox.faults.strike(call.operations)
        if fault and not fault.acts:
            self._fail(fault)
            return
        self._send_faulty(call.perform(domain, version, self.headers), fault)

    def _token(self, sandbox: ShopifySandbox, domain: str, body: bytes) -> None:
        if sandbox.settings.latency:
            time.sleep(sandbox.settings.latency)
        fault = sandbox.faults.strike(("token",))
        if fault and not fault.acts:
            self._fail(fault)
            return
        self._send_faulty(_token_answer(sandbox, domain, body), fault)

    def _fail(self, fault: Fault) -> None:
        """The platform does nothing, and says so in one of its ways."""
        if fault.kind == "timeout_before":
            time.sleep(float(fault.options.get("seconds", 15)))
            self._drop()
        elif fault.kind == "internal_error":
            self._send(json_answer(200, _internal_error()))
        elif fault.kind == "throttled":
            self._send(json_answer(200, {"errors": [THROTTLED], "extensions": {"cost": EMPTY_BUCKET}}))
        elif fault.kind == "429":
            wait = str(fault.options.get("retry_after", 2.0))
            self._send(json_answer(429, {"errors": "Too many requests"}, {"Retry-After": wait}))
        else:
            self._send(json_answer(int(fault.kind), {"errors": f"fault {fault.kind}"}))

    def _send_faulty(self, answer: Answer, fault: Fault | None) -> None:
        if fault is None:
            self._send(answer)
            self.server.sandbox.answering.end()
        elif fault.kind == "lost_reply":
            self._drop()
        elif fault.kind == "truncated":
            self._send_head(answer)
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self._drop()
        else:
            self._drip(answer, float(fault.options.get("seconds", 0.5)))

    def _drip(self, answer: Answer, pause: float) -> None:
        self._send_head(answer)
        for byte in answer.body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)

    def _send(self, answer: Answer) -> None:
        self._send_head(answer)
        self.wfile.write(answer.body)

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("X-Request-Id", str(uuid.uuid4()))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()

    def _drop(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        _shut(self.connection)


CROSS_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
}


@dataclass
class _Call:
    """A GraphQL request as far as it could be read."""

    sandbox: ShopifySandbox
    operation: Operation | None
    variables: Mapping[str, Any]
    problem: str = ""

    @classmethod
    def read(cls, sandbox: ShopifySandbox, body: bytes) -> _Call:
        given = _read_json(body)
        if not isinstance(given, dict) or not isinstance(given.get("query"), str):
            return cls(sandbox, None, {}, "the body is no JSON object with a query")
        operation = sandbox.engine.understand(given["query"], given.get("operationName") or "")
        return cls(sandbox, operation, given.get("variables") or {})

    @property
    def operations(self) -> tuple[str, ...]:
        return self.operation.roots if self.operation else ()

    def perform(self, domain: str, version: str, headers: Any) -> Answer:
        sandbox = self.sandbox
        with sandbox.lock:
            shop = sandbox.shops.get(domain)
            if shop is None or not (VERSION.fullmatch(version) or version == "unstable"):
                sandbox.violation(f"no such shop or version: {domain} {version}")
                return json_answer(404, {"errors": "Not Found"})
            refused = _refusal(shop, headers.get("X-Shopify-Access-Token"))
            if refused:
                return refused
            served = {"X-Shopify-API-Version": sandbox.settings.served_version}
            if version != "2026-10":
                shop.violation(f"version {version} asked for, 2026-10 is the one we pinned")
            if self.operation is None:
                shop.violation(self.problem)
                return json_answer(
                    400, {"errors": {"query": "Required parameter missing or invalid"}}, served
                )
            shop.expire_reservations()
            reply = sandbox.engine.run(shop, self.operation, self.variables)
            if reply.deprecated:
                served["X-Shopify-API-Deprecated-Reason"] = "https://shopify.dev/api/usage/versioning"
            return json_answer(200, reply.body, served)


def _refusal(shop: ShopState, token: str | None) -> Answer | None:
    status = tokens.check_access(shop, token)
    if status == 401:
        return json_answer(401, {"errors": BAD_TOKEN})
    if status == 403:
        shop.violation("a token that never expires was used", "token")
        return json_answer(403, {"errors": "[API] Non-expiring access tokens are no longer accepted"})
    if shop.answers_with:
        return json_answer(shop.answers_with, {"errors": CLOSED.get(shop.answers_with, "Unavailable")})
    return None


def _token_answer(sandbox: ShopifySandbox, domain: str, body: bytes) -> Answer:
    form = _read_json(body)
    if not isinstance(form, dict):
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
    with sandbox.lock:
        shop = sandbox.shops.get(domain)
        if shop is None:
            return json_answer(404, {"errors": "Not Found"})
        return json_answer(*tokens.answer(shop, form))


def _page_answer(sandbox: ShopifySandbox, path: str, query: dict[str, str]) -> Answer:
    with sandbox.lock:
        page = frame.page(sandbox, path, query)
    if page is None:
        return json_answer(404, {"errors": "Not Found"})
    headers = {"Content-Type": page.type, "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    return Answer(200, page.content, headers)


def _internal_error() -> dict[str, Any]:
    request = str(uuid.uuid4())
    words = "Internal error. Looks like something went wrong on our end."
    return {
        "errors": [
            {
                "message": f"{words}\nRequest ID: {request} (include this in support requests).",
                "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": request},
            }
        ]
    }


def _read_json(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body)
    except ValueError:
        return None


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already
