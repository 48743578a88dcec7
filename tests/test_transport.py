"""connector/transport.py against a real server that misbehaves."""

import gc
import ipaddress
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from scripted import ScriptedServer
from urllib3.exceptions import MaxRetryError, NewConnectionError

from connector import transport

DRIP = 0.1
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every connection with one behaviour; counts connections and requests."""

    def __init__(
        self,
        behave: Callable[[socket.socket], None],
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.behave = behave
        self.tls = tls
        self.listening = socket.create_server((address, 0))
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
        client.settimeout(10)
        with client, suppress(OSError), self._secured(client) as talking:
            while data := talking.recv(65536):
                self.requests += data.count(b" HTTP/1.1\r\n")
                self.behave(talking)

    def _secured(self, client: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(client, server_side=True) if self.tls else client

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

    def start(behave: Callable[[Server, socket.socket], None], **more: Any) -> Server:
        servers.append(Server(lambda client: behave(servers[-1], client), **more))
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


def test_a_connection_is_kept_to_each_of_many_hosts_that_take_turns(serve):
    server = serve(lambda server, client: client.sendall(WHOLE), address="0.0.0.0")  # noqa: S104  (all of 127/8)
    shops = [server.url.replace("127.0.0.1", f"127.0.0.{number}") for number in range(1, 61)]
    for url in shops * 2:
        assert transport.session().get(url).text == "ok"
    assert (server.connections, server.requests) == (60, 120)


@pytest.mark.parametrize(("files", "most", "hosts"), [(256, 4096, 216), (256, 100_000, 1000), (256, 256, 32)])
def test_as_many_hosts_are_kept_as_the_process_may_have_files_for(files, most, hosts):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < most:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    looks = (
        f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({files}, {most})); import django; django.setup();"
        "from connector.transport import hosts_kept; print(hosts_kept(18), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(hosts), str(min(most, 1000 * 18 + 200))]


@pytest.fixture
def vouched_for(tmp_path) -> tuple[ssl.SSLContext, Path]:
    """A server's certificate for 127.0.0.1 to 127.0.0.4, and the file of who vouches for it: itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    addresses = [x509.IPAddress(ipaddress.ip_address(f"127.0.0.{number}")) for number in range(1, 5)]
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
    made = (
        made.serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = made.add_extension(x509.SubjectAlternativeName(addresses), critical=True)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    file = tmp_path / "certificate.pem"
    file.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    return tls, file


def test_a_host_is_who_it_says_it_is_or_hears_nothing_and_the_list_of_who_vouches_is_kept_once(
    serve, vouched_for
):
    tls, file = vouched_for
    server = serve(lambda server, client: client.sendall(WHOLE), address="0.0.0.0", tls=tls)  # noqa: S104
    urls = [server.url.replace("http://127.0.0.1", f"https://127.0.0.{number}") for number in range(1, 6)]
    with pytest.raises(requests.exceptions.SSLError, match="self-signed"):
        exchange(urls[0])
    transport.trust().load_verify_locations(file)
    try:
        assert [exchange(url).content for url in urls[:4]] == [b"ok"] * 4
        with pytest.raises(requests.exceptions.SSLError, match="mismatch"):
            exchange(urls[4])
        lists = [one for one in gc.get_objects() if type(one) is ssl.SSLContext and one.get_ca_certs()]
        assert lists == [transport.trust()]
    finally:
        transport.trust.cache_clear()
    assert server.requests == 4


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
