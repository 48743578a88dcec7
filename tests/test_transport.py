"""connector/transport.py against a real server that misbehaves."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from scripted import ScriptedServer
from urllib3.exceptions import MaxRetryError, NewConnectionError

from connector import transport

DRIP = 0.1
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every connection with one behaviour; counts connections and requests."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.behave = behave
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/"
        self.connections = 0
        self.requests = 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=[client])
            self.threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(10)
            try:
                while data := client.recv(65536):
                    self.requests += data.count(b" HTTP/1.1\r\n")
                    self.behave(client)
            except OSError:
                return

    def drip(self, client: socket.socket, data: bytes) -> None:
        for byte in data:
            if self.stopped.wait(DRIP):
                return
            client.sendall(bytes([byte]))

    def stop(self) -> None:
        self.stopped.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        transport.session().close()
        for thread in self.threads:
            thread.join(5)


@pytest.fixture
def serve(settings) -> Iterator[Callable[..., Server]]:
    settings.CALL_DEADLINE_SECONDS = 1
    settings.CONNECT_TIMEOUT_SECONDS = 0.5
    servers: list[Server] = []

    def start(behave: Callable[[Server, socket.socket], None]) -> Server:
        servers.append(Server(lambda client: behave(servers[-1], client)))
        return servers[-1]

    transport.session.cache_clear()
    yield start
    for server in servers:
        server.stop()
    transport.session.cache_clear()


def seconds_of(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        call()
    return time.monotonic() - began


def test_an_answer_that_drips_its_headers_ends_at_the_deadline(serve):
    server = serve(lambda server, client: server.drip(client, WHOLE))
    assert 0.9 < seconds_of(lambda: transport.session().get(server.url)) < 2


def test_an_answer_that_drips_its_body_ends_at_the_deadline(serve):
    def behave(server, client):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        server.drip(client, b"x" * 1000)

    server = serve(behave)
    assert 0.9 < seconds_of(lambda: transport.session().get(server.url)) < 2


def test_an_answer_that_drips_chunks_ends_at_the_deadline(serve):
    def behave(server, client):
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        server.drip(client, b"1\r\nx\r\n" * 200)

    server = serve(behave)
    assert 0.9 < seconds_of(lambda: transport.session().get(server.url)) < 2


def test_redirects_do_not_buy_more_time(serve):
    def behave(server, client):
        time.sleep(0.4)
        client.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    server = serve(behave)
    assert seconds_of(lambda: transport.session().get(server.url)) < 2


def test_silence_ends_at_the_deadline_and_nothing_is_sent_twice(serve):
    server = serve(lambda server, client: server.stopped.wait(3))
    assert 0.9 < seconds_of(lambda: transport.session().post(server.url, json={})) < 2
    assert server.requests == 1


def test_a_caller_cannot_ask_for_more_time(serve):
    server = serve(lambda server, client: server.stopped.wait(5))
    assert seconds_of(lambda: transport.session().get(server.url, timeout=60)) < 2


def test_a_refused_connection_is_told_apart_from_a_lost_answer(serve):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as caught:
        transport.session().post(f"http://127.0.0.1:{port}/")
    assert isinstance(caught.value.args[0], MaxRetryError)
    assert isinstance(caught.value.args[0].reason, NewConnectionError)

    server = serve(lambda server, client: client.shutdown(socket.SHUT_RDWR))
    with pytest.raises(requests.ConnectionError) as caught:
        transport.session().post(server.url)
    assert not isinstance(caught.value.args[0], MaxRetryError)
    assert server.requests == 1


def test_a_host_that_takes_no_connections_is_a_connect_timeout(serve):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        began = time.monotonic()
        with pytest.raises(requests.ConnectTimeout):
            transport.session().get(f"http://127.0.0.1:{full.getsockname()[1]}/")
        assert time.monotonic() - began < 1
        for one in waiting:
            one.close()


def test_connections_are_kept_and_cookies_are_not(serve):
    def behave(server, client):
        client.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nok")

    server = serve(behave)
    for _ in range(3):
        assert transport.session().get(server.url).text == "ok"
    assert (server.connections, server.requests) == (1, 3)
    assert not transport.session().cookies


def exchange(url: str, **wanted) -> requests.Response:
    """A call as both platforms' clients make it."""
    return transport.session().request("POST", url, data=b"{}", allow_redirects=False, **wanted)


def test_a_call_that_goes_out_as_it_stands_carries_what_it_was_given():
    transport.session.cache_clear()
    with ScriptedServer() as server:
        server.will_answer(302, b'{"moved": 1}', Location="/elsewhere", X_Request_Id="7")
        reply = exchange(f"{server.url}/a%20b?sign=x%2By", headers={"accept": "text/plain", "X-Token": "t"})
    [asked] = server.asked
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", "/a%20b", {"sign": "x+y"}, b"{}")
    assert (asked.headers["Content-Length"], asked.headers["X-Token"]) == ("2", "t")
    assert [value for name, value in asked.headers.items() if name.lower() == "accept"] == ["text/plain"]
    assert (reply.status_code, reply.json(), reply.headers["x-request-id"]) == (302, {"moved": 1}, "7")


def test_a_call_without_a_body_says_so():
    transport.session.cache_clear()
    with ScriptedServer() as server:
        server.will_answer(200)
        transport.session().request("POST", f"{server.url}/", allow_redirects=False)
    assert (server.asked[0].headers["Content-Length"], server.asked[0].body) == ("0", b"")


def test_a_call_that_goes_out_as_it_stands_ends_at_the_deadline_and_is_sent_once(serve):
    def behave(server, client):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        server.drip(client, b"x" * 1000)

    server = serve(behave)
    assert 0.9 < seconds_of(lambda: exchange(server.url, timeout=60)) < 2
    assert server.requests == 1
    silent = serve(lambda server, client: server.stopped.wait(3))
    assert 0.9 < seconds_of(lambda: exchange(silent.url)) < 2
    assert silent.requests == 1


def test_a_call_that_goes_out_as_it_stands_tells_a_refusal_from_a_lost_answer(serve):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(requests.ConnectionError) as caught:
        exchange(f"http://127.0.0.1:{port}/")
    assert isinstance(caught.value.args[0].reason, NewConnectionError)
    server = serve(lambda server, client: client.shutdown(socket.SHUT_RDWR))
    with pytest.raises(requests.ConnectionError) as caught:
        exchange(server.url)
    assert not isinstance(caught.value.args[0], MaxRetryError)
    assert server.requests == 1


def test_calls_that_go_out_as_they_stand_share_a_connection_and_keep_no_cookies(serve):
    def behave(server, client):
        client.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nok")

    server = serve(behave)
    for _ in range(3):
        assert exchange(server.url).content == b"ok"
    assert (server.connections, server.requests) == (1, 3)
    assert not transport.session().cookies
