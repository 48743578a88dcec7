"""TikTok's doors over real HTTP: the checks every call must pass, the faults a test asked for, the answer."""

import hashlib
import hmac
import json
import math
import secrets
import threading
import time
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING, Any, ClassVar

from tiktok.sandbox import consent_page, contract, control
from tiktok.sandbox.contract import Match, Route
from tiktok.sandbox.endpoints import HANDLERS, SCOPE_OF, Call
from tiktok.sandbox.shipping import Refused
from tiktok.sandbox.state import App, Fault, Grant, Json

if TYPE_CHECKING:
    from tiktok.sandbox.platform import TikTokSandbox

EARLIEST, LATEST = -300, 30  # seconds around real time (TikTok contract 1.4)


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def one(self, name: str) -> str:
        return self.query.get(name, [""])[0]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


class TurnedAway(Refused):
    """A refusal at the door. `status` is its HTTP status; `crime` says that the caller broke the contract."""

    def __init__(self, code: int, message: str, status: int, *, crime: bool = True, wait: float = 0) -> None:
        super().__init__(code, message)
        self.status = status
        self.crime = crime
        self.wait = wait


class Rates:
    """A bucket for every app, shop and endpoint."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}

    def take(self, key: tuple[str, str, str], per_second: float, burst: float) -> float:
        """0 when there was a token, else the seconds until there is one."""
        now = time.monotonic()
        level, then = self._buckets.get(key, (burst, now))
        level = min(burst, level + (now - then) * per_second)
        if level < 1:
            self._buckets[key] = (level, now)
            return (1 - level) / per_second
        self._buckets[key] = (level - 1, now)
        return 0


def answer(sandbox: "TikTokSandbox", request: Request) -> Answer:
    """The platform's answer to a request of its API, with everything that it does."""
    request_id = f"{time.strftime('%Y%m%d%H%M%S', time.gmtime())}{secrets.token_hex(10).upper()}"
    match = contract.find(request.method, request.path)
    name = match.route.operation if match and match.route else request.path
    try:
        data = _data(sandbox, request, match)
        if sandbox.settings.null_data and not data:
            return _envelope(200, 0, "Success", request_id, None)
        return _envelope(200, 0, "Success", request_id, data)
    except TurnedAway as refusal:
        if refusal.crime:
            sandbox.violate(name, refusal.message)
        status = 200 if sandbox.settings.errors_on_200 else refusal.status
        headers = {"Retry-After": str(math.ceil(refusal.wait))} if refusal.wait else {}
        return _envelope(status, refusal.code, refusal.message, request_id, None, headers)
    except Refused as refusal:
        return _envelope(200, refusal.code, refusal.message, request_id, None)


def _data(sandbox: "TikTokSandbox", request: Request, match: Match | None) -> Json:
    if match is None:
        raise TurnedAway(36009009, "Invalid path", 404)
    if match.route is None:
        raise TurnedAway(36009010, "Invalid method", 405)
    route = match.route
    with sandbox.lock:
        sandbox.tick()
        app = _verified_app(sandbox, request) if route.signed else next(iter(sandbox.apps.values()))
        if route.signed:
            _limit(sandbox, app, request, route)
        grant = _granted(sandbox, app, request, route) if route.signed else None
        shop_id = _shop(grant, request, route) if grant else ""
        _check_form(sandbox, request, route)
        body = json.loads(request.body) if request.body else {}
        query = {name: values[0] for name, values in request.query.items()}
        call = Call(match.path_values, query, body, app, grant, shop_id)
        sandbox.calls[route.operation] = sandbox.calls.get(route.operation, 0) + 1
        return HANDLERS[route.operation](sandbox, call)


def _verified_app(sandbox: "TikTokSandbox", request: Request) -> App:
    """Who calls, proven by key, time and signature (TikTok contract 1.4, 2)."""
    for name in ("app_key", "timestamp", "sign"):
        if not request.one(name):
            raise TurnedAway(36009004, f"Missing parameter: {name}", 400)
    if "access_token" in request.query:
        raise TurnedAway(36009004, "Unexpected identifier: access_token", 400)
    app = next((app for app in sandbox.apps.values() if app.app_key == request.one("app_key")), None)
    if app is None:
        raise TurnedAway(36009004, "Invalid app_key", 401)
    stamp = request.one("timestamp")
    if not (stamp.isdigit() and len(stamp) == 10):
        raise TurnedAway(36009004, "Invalid timestamp: 10 digits of unix seconds", 400)
    clocks = (time.time(), sandbox.clock.time())  # tests may send their app's clock ahead with ours
    if not any(EARLIEST <= int(stamp) - now <= LATEST for now in clocks):
        raise TurnedAway(36009004, "Invalid timestamp: outside -5 min to +30 s", 401)
    if not hmac.compare_digest(signature(app.app_secret, request), request.one("sign")):
        raise TurnedAway(106001, "Signature verification failed", 401)
    return app


def signature(secret: str, request: Request) -> str:
    """The platform's own computation, apart from the product's."""
    left_out = ("sign", "access_token", "x-tts-access-token")
    pairs = "".join(
        f"{name}{request.query[name][0]}" for name in sorted(request.query) if name not in left_out
    )
    body = request.body
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        body = b""
    message = f"{secret}{request.path}{pairs}".encode() + body + secret.encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _limit(sandbox: "TikTokSandbox", app: App, request: Request, route: Route) -> None:
    settings = sandbox.settings
    if not settings.rate_per_second:
        return
    key = (app.app_key, request.one("shop_cipher"), route.operation)
    wait = sandbox.rates.take(key, settings.rate_per_second, settings.rate_burst)
    if wait:
        raise TurnedAway(36009002, "Too many requests", 429, crime=False, wait=wait)


def _granted(sandbox: "TikTokSandbox", app: App, request: Request, route: Route) -> Grant:
    token = request.headers.get("x-tts-access-token", "")
    if not token:
        raise TurnedAway(36009004, "Missing header: x-tts-access-token", 401)
    grant = next(
        (
            grant
            for grant in sandbox.world.grants.values()
            if sandbox.apps[grant.app] is app and token in grant.access
        ),
        None,
    )
    if grant is None or grant.revoked:
        raise TurnedAway(36009004, "Invalid access token", 401, crime=False)
    if grant.access[token] <= sandbox.clock.time():
        raise TurnedAway(105002, "The access token has expired", 401, crime=False)
    scope = SCOPE_OF[route.operation]
    if scope and scope not in grant.scopes:
        raise TurnedAway(105005, f"Access denied: the scope {scope} is missing", 401, crime=False)
    if token == grant.newest:
        grant.former_refresh = ""  # the new pair has arrived and works
    return grant


def _shop(grant: Grant, request: Request, route: Route) -> str:
    if not route.wants_cipher:
        return ""
    cipher = request.one("shop_cipher")
    if not cipher:
        raise TurnedAway(106013, "shop_cipher is missing", 400)
    if cipher not in grant.ciphers:
        raise TurnedAway(101000, "The token and the shop do not belong together", 401, crime=False)
    return grant.ciphers[cipher]


def _check_form(sandbox: "TikTokSandbox", request: Request, route: Route) -> None:
    if request.body and not request.headers.get("content-type", "").startswith("application/json"):
        raise TurnedAway(36009022, "The body must be JSON", 400)
    try:
        faults = list(contract.query_faults(route, request.query))
        public = sandbox.settings.public_hooks_only
        faults += contract.body_faults(route, request.body, public_hooks_only=public)
    except ValueError:
        raise TurnedAway(36009022, "The body is not JSON", 400) from None
    if faults:
        raise TurnedAway(36009004, "; ".join(faults), 400)


def _envelope(
    status: int, code: int, message: str, request_id: str, data: Any, headers: dict[str, str] | None = None
) -> Answer:
    body: Json = {"code": code, "message": message, "request_id": request_id, "data": data}
    return Answer(status, json.dumps(body, ensure_ascii=False).encode(), headers or {})


class Handler(BaseHTTPRequestHandler):
    """Reads a request, meets the faults, writes the answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60
    sandbox: ClassVar["TikTokSandbox"]

    def do_GET(self) -> None:
        request = self._request()
        if len(request.body) < int(self.headers.get("Content-Length") or 0):
            self.close_connection = True  # the caller died while it spoke: nobody asked for anything
        elif request.path.startswith("/_sandbox"):
            self._send(Answer(*control.handle(self.sandbox, request.method, request.path, request.body)))
        elif request.path.startswith("/open/authorize"):
            self._send(Answer(*consent_page.handle(self.sandbox, request.path, request.query)))
        else:
            self._platform(request)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the ledger and the violations tell what happened."""

    def _request(self) -> Request:
        parts = urllib.parse.urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        return Request(
            method=self.command,
            path=urllib.parse.unquote(parts.path),
            query=urllib.parse.parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )

    def _platform(self, request: Request) -> None:
        sandbox = self.sandbox
        match = contract.find(request.method, request.path)
        operation = match.route.operation if match and match.route else request.path
        sandbox.answering.begin()
        if sandbox.settings.latency:
            time.sleep(sandbox.settings.latency)
        fault = sandbox.faults.take(operation)
        if fault is None:
            self._send(answer(sandbox, request))
            sandbox.answering.end()
        elif (instead := _instead(fault)) is not None:
            self._send(instead)
        elif fault.kind == "timeout_before":
            sandbox.wait(float(fault.options.get("seconds", 15)))
            self._drop()
        else:
            self._spoil(fault, answer(sandbox, request))

    def _spoil(self, fault: Fault, real: Answer) -> None:
        """The call was executed; only its answer suffers."""
        if fault.kind == "500_after":
            self._send(_envelope(500, 36009003, "Internal error", "", None))
        elif fault.kind == "slow_drip":
            self._drip(real, float(fault.options.get("seconds", 1)))
        elif fault.kind == "truncated":
            self._head(real)
            self.wfile.write(real.body[: len(real.body) // 2])
            self._drop()
        else:
            self._drop()

    def _drip(self, real: Answer, seconds: float) -> None:
        self._head(real)
        for byte in real.body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if not self.sandbox.wait(seconds):
                break
        self.close_connection = True

    def _send(self, reply: Answer) -> None:
        self._head(reply)
        self.wfile.write(reply.body)
        self.wfile.flush()

    def _head(self, reply: Answer) -> None:
        self.send_response(reply.status)
        for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()

    def _drop(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(SHUT_RDWR)


def _instead(fault: Fault) -> Answer | None:
    """The answer of a fault that keeps the call from being executed."""
    options = fault.options
    wait = {"Retry-After": str(options.get("seconds", 1))}
    if fault.kind == "500":
        return _envelope(500, 36009003, "Internal error", secrets.token_hex(8), None)
    if fault.kind == "503":
        return _envelope(503, 36009007, "Service unavailable", secrets.token_hex(8), None, wait)
    if fault.kind == "429":
        return _envelope(429, 36009002, "Too many requests", secrets.token_hex(8), None, wait)
    if fault.kind == "error":
        message = str(options.get("message", "Refused by request"))
        return _envelope(
            int(options.get("http", 200)),
            int(options["code"]),
            message,
            secrets.token_hex(8),
            options.get("data"),
        )
    return None


class Server(ThreadingHTTPServer):
    """Threads per connection; open connections are closed when the sandbox stops."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], sandbox: "TikTokSandbox") -> None:
        self._open: set[socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, type("BoundHandler", (Handler,), {"sandbox": sandbox}))

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is no news here."""

    def close_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(SHUT_RDWR)
                except OSError:  # already gone
                    continue
