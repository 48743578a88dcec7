"""The way out: one pooled session for the process, no retries, and a deadline over the whole call.

`requests`' own read timeout starts again with every read, so one dripping answer could hold a thread and its
lease for as long as it drips. Here each read gets only what is left of the call's time.
"""

import http.client
import io
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import certifi
import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

call_ends: ContextVar[float] = ContextVar("call_ends")  # on the monotonic clock

# Each Shopify shop is a host of its own. Beyond so many that take turns, each call would pay for TCP and TLS anew.
HOSTS, FEWEST_HOSTS = 1_000, 32
FILES_FOR_THE_REST = 200  # database, Valkey, logs


@cache
def session() -> requests.Session:
    """The process's session. Every call ends within CALL_DEADLINE_SECONDS.

    Before anything is sent: requests.ConnectTimeout, or requests.ConnectionError around urllib3's
    NewConnectionError. After that the effect is unknown: requests.ReadTimeout when the time is over,
    else requests.ConnectionError or requests.exceptions.ChunkedEncodingError.
    """
    made = DeadlineSession()
    at_once = settings.DRAIN_THREADS + 2
    adapter = DeadlineAdapter(pool_connections=hosts_kept(at_once), pool_maxsize=at_once, max_retries=0)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    made.trust_env = False  # no .netrc, no proxies by surprise; settings.py alone reads the environment
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return made


def hosts_kept(at_once: int) -> int:
    """For how many hosts connections are kept: as many as the process may have files for, should each host have seen
    the most calls at once. Idle ones stay open until the platform closes them, and their files until the next call.

    A shell's usual limit of 1,024 files is raised as far as the system lets us: nothing here uses select(2).
    """
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HOSTS * at_once + FILES_FOR_THE_REST
    if files != resource.RLIM_INFINITY and files < wanted:
        files = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    if files == resource.RLIM_INFINITY:
        return HOSTS
    return max(FEWEST_HOSTS, min(HOSTS, (files - FILES_FOR_THE_REST) // at_once))


@cache
def trust() -> ssl.SSLContext:
    """Whom we trust, read once: urllib3 would read the list for each connection, 25 ms and 700 KB of it."""
    context = create_urllib3_context()
    context.load_verify_locations(certifi.where())
    return context


class DeadlineSession(requests.Session):
    def request(  # type: ignore[override]  # by name only
        self, method: str, url: str, **wanted: Any
    ) -> requests.Response:
        """As requests. A call that wants no redirects followed, as every call of ours, goes out as it stands: to
        prepare it, and to look for cookies, hooks and redirects, takes requests a third of the call's CPU."""
        more = {name for name, value in wanted.items() if value is not None} - AS_IT_STANDS
        body = wanted.get("data")
        if more or not isinstance(body, bytes | None) or wanted.get("allow_redirects", True):
            return super().request(method, url, **wanted)
        headers = CaseInsensitiveDict(self.headers, **(wanted.get("headers") or {}))
        request = as_it_stands(method, url, headers, body)
        with deadline(request):
            answer = self.get_adapter(url).send(request, timeout=timeouts())
            answer.content  # noqa: B018  (read while the time is running)
        return answer

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """As requests, but the whole call, redirects and body included, ends in time."""
        if call_ends.get(None) is not None:  # a redirect of a call whose time is already running
            return super().send(request, **kwargs)
        with deadline(request):
            return super().send(request, **kwargs | {"timeout": timeouts()})


AS_IT_STANDS = {"headers", "data", "timeout", "allow_redirects"}


def as_it_stands(
    method: str, url: str, headers: CaseInsensitiveDict[str], body: bytes | None
) -> requests.PreparedRequest:
    request = requests.PreparedRequest()
    request.method, request.url, request.headers, request.body = method, url, headers, body
    if body is not None:
        headers["Content-Length"] = str(len(body))
    return request


def timeouts() -> tuple[float, float]:
    return settings.CONNECT_TIMEOUT_SECONDS, settings.CALL_DEADLINE_SECONDS


@contextmanager
def deadline(request: requests.PreparedRequest) -> Iterator[None]:
    """The call in here ends within CALL_DEADLINE_SECONDS."""
    began = call_ends.set(time.monotonic() + settings.CALL_DEADLINE_SECONDS)
    try:
        yield
    except requests.ConnectTimeout:
        raise
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        if call_ends.get() > time.monotonic():
            raise
        late = f"no whole answer within {settings.CALL_DEADLINE_SECONDS:g} s"
        raise requests.ReadTimeout(late, request=request) from error
    finally:
        call_ends.reset(began)


class Answer(http.client.HTTPResponse):
    """An answer whose reads share the time that the call has left."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(TimedReader(self.fp.detach(), sock, call_ends.get()))


class TimedReader(io.RawIOBase):
    def __init__(self, source: io.RawIOBase, sock: socket.socket, ends: float) -> None:
        self.source = source
        self.sock = sock
        self.ends = ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call's time is over")
        self.sock.settimeout(left)
        return self.source.readinto(buffer)

    def close(self) -> None:
        self.source.close()
        super().close()


class TimedConnect:
    """All addresses of a host share the connect timeout; urllib3 would give it to each."""

    def _new_conn(self: Any) -> socket.socket:
        ends = time.monotonic() + self.timeout
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        last = OSError("no address")
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            left = ends - time.monotonic()
            if left <= 0:
                break
            try:
                return create_connection((address, self.port), left, socket_options=self.socket_options)
            except OSError as error:
                last = error
        if isinstance(last, TimeoutError):
            raise ConnectTimeoutError(self, f"no connection within {self.timeout} s") from last
        raise NewConnectionError(self, f"no connection: {last}") from last


class PlainConnection(TimedConnect, HTTPConnection):
    response_class = Answer


class TlsConnection(TimedConnect, HTTPSConnection):
    response_class = Answer


class PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection


class DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=trust(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, how = super().build_connection_pool_key_attributes(*args, **kwargs)
        how.pop("ca_certs", None)
        return host, how

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"  # without the list, which would be read into the context again
