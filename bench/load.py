"""python -m bench.load PLAN: posts prebuilt webhooks over keep-alive connections, from a process of its own.

PLAN is a pickle (Plan) on standard input; the answer on standard output is JSON. Raw sockets and one selector: a
request costs some 30 µs here, so that the two cores are left to what is measured.
"""

import json
import pickle
import re
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate` 0: as fast as answers come on all connections; else so many a second, whatever the answers do."""

    host: str
    port: int
    requests: list[bytes]
    connections: int = 16
    rate: float = 0.0


class Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.next = 0
        self.latencies: list[float] = []
        self.bad = 0
        self.began: dict[socket.socket, float] = {}
        self.answers: dict[socket.socket, bytes] = {}
        self.selector = selectors.DefaultSelector()
        self.idle = [self.connect() for _ in range(plan.connections)]

    def connect(self) -> socket.socket:
        made = socket.create_connection((self.plan.host, self.plan.port), timeout=30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(made, selectors.EVENT_READ)
        return made

    def run(self) -> dict[str, object]:
        start = time.perf_counter()
        total = len(self.plan.requests)
        while len(self.latencies) < total:
            wait = self.send(start)
            for key, _ in self.selector.select(wait):
                self.receive(key.fileobj)  # type: ignore[arg-type]  # we registered sockets
        return {"seconds": time.perf_counter() - start, "latencies": self.latencies, "bad": self.bad}

    def send(self, start: float) -> float:
        """Send what is due on idle connections; seconds until the next one is due."""
        while self.idle and self.next < len(self.plan.requests):
            planned = start + self.next / self.plan.rate if self.plan.rate else time.perf_counter()
            wait = planned - time.perf_counter()
            if wait > 0:
                return wait
            connection = self.idle.pop()
            connection.sendall(self.plan.requests[self.next])
            self.began[connection] = planned  # a late send is the server's fault: it had all connections
            self.next += 1
        return 5.0

    def receive(self, connection: socket.socket) -> None:
        part = connection.recv(65536)
        answer = self.answers.pop(connection, b"") + part
        if part and not is_whole(answer):
            self.answers[connection] = answer
            return
        if began := self.began.pop(connection, 0.0):
            self.latencies.append(time.perf_counter() - began)
            self.bad += not answer.startswith(b"HTTP/1.1 200")
        if not part:  # hung up
            self.selector.unregister(connection)
            self.idle = [one for one in self.idle if one is not connection]
            connection = self.connect()
        self.idle.append(connection)


def is_whole(answer: bytes) -> bool:
    """Headers are there, and the body that they announce."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return len(body) >= int(length[1] if length else 0)


def post(path: str, host: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (("Content-Type", "application/json"), *headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def main() -> None:
    plan = pickle.loads(sys.stdin.buffer.read())
    json.dump(Load(plan).run(), sys.stdout)


if __name__ == "__main__":
    main()
