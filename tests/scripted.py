"""A small HTTP server: answers what a test has written down, in that order, and remembers the questions."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Answer:
    """`None` as status drops the connection without an answer. `gate` is waited for before answering."""

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


class ScriptedServer:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: deque[Answer] = deque()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def will_say(
        self, data: Any = None, *, code: int = 0, message: str = "Success", status: int = 200, **more: Any
    ) -> None:
        """Queue an answer in TikTok's envelope."""
        envelope = {"code": code, "message": message, "request_id": "req-1", "data": data}
        self.answers.append(Answer(status, orjson.dumps(envelope), **more))

    def will_answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.answers.append(Answer(status, body, headers))

    def will_drop(self) -> None:
        """Queue a lost answer: the request is read, the connection closed."""
        self.answers.append(Answer(None))

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            return self.answers.popleft() if self.answers else Answer(599, b"nothing was scripted")

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def handler_of(script: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            answer = script.answer(Asked(self.command, parts.path, query, dict(self.headers), body))
            if answer.gate:
                answer.gate.wait(10)
            self.close_connection = True
            if answer.status is None:
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
