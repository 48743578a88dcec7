"""What rings at our two doors: the right gets a row and 200, the wrong its answer and no row.

By the way that granian's requests take: `Doors` around Django. Django's own route leads to the same doors, and the
tests of a whole order's life ring there.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from connector import jobs, wake
from connector.launcher.stack import web_command
from connector.models import InboxEvent
from connector.postgres.prepared import Statement
from connector.webhooks import Doors
from shopify_app.models import Shop
from tiktok import signing

pytestmark = pytest.mark.django_db(transaction=True)

DOMAIN = "intake.myshopify.com"
PREPARED = (
    "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%inboxevent%%'"
)


@pytest.fixture(autouse=True)
def shop():
    return Shop.objects.create(domain=DOMAIN)


def from_shopify(body: bytes, *, secret: str = "", left_out: str = "", **headers: str):
    told = signed_by_shopify(body, secret)
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    told.pop(left_out, None)
    return through_doors("POST", "/webhooks/shopify", body, told)


def signed_by_shopify(body: bytes, secret: str = "") -> dict[str, str]:
    key = (secret or django_settings.SHOPIFY_API_SECRET).encode()
    return {
        "X-Shopify-Topic": "orders/updated",
        "X-Shopify-Hmac-Sha256": base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode(),
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": "w-1",
    }


def from_tiktok(body: bytes, *, signature: str = ""):
    app = django_settings.TIKTOK_APPS["US"]
    right = signing.webhook_signature(app["app_key"], app["app_secret"], body)
    return through_doors("POST", "/webhooks/tiktok", body, {"Authorization": signature or right})


def through_doors(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
    asked = RequestFactory().generic(method, path, body, content_type="application/json", headers=headers)
    found = HttpResponse()

    def respond(status: str, told: list[tuple[str, str]]) -> None:
        found.status_code, found.reason_phrase = int(status[:3]), status[4:]
        for name, value in told:
            found[name] = value

    found.content = b"".join(Doors(WSGIHandler())(asked.environ, respond))
    return found


def through_django(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
    return Client().generic(method, path, body, content_type="application/json", headers=headers)


def a_bell(**facts) -> bytes:
    told = {"type": 1, "tts_notification_id": "n-1", "shop_id": "7", "timestamp": 1718305585}
    return json.dumps(told | {"data": {"order_id": "5771", "order_status": "ON_HOLD"}} | facts).encode()


ORDER = b'{"id": 1, "tags": "tts-1"}'


def test_a_wrong_signature_is_401_and_leaves_no_row():
    assert from_shopify(ORDER, secret="another").status_code == 401
    assert from_tiktok(a_bell(), signature="0" * 64).status_code == 401
    assert from_tiktok(a_bell(), signature="ß").status_code == 401
    assert InboxEvent.objects.count() == 0


@pytest.mark.parametrize(
    "name",
    [
        "X-Shopify-Topic",
        "X-Shopify-Hmac-Sha256",
        "X-Shopify-Shop-Domain",
        "X-Shopify-API-Version",
        "X-Shopify-Webhook-Id",
    ],
)
def test_a_missing_header_is_400_and_leaves_no_row(name):
    assert from_shopify(ORDER, left_out=name).status_code == 400
    assert InboxEvent.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'"text"',
        b"{}",
        b'{"id": "seven"}',
        b'{"id": null}',
        b'{"id": 1e400}',
        b'{"id": {}}',
        b'{"id": 1, "updated_at": 5}',
        b'{"id": true}',
        b'{"id": 1.5}',
        b'{"id": -1}',
        b'{"id": 1, "updated_at": "%s"}' % (b"9" * 65),
        b'{"id": 1, "tags": {"a": 1}}',
        b"\xff\xfe",
    ],
)
def test_what_shopify_signed_in_another_shape_is_answered_and_said_once_in_the_log(body, caplog):
    assert from_shopify(body).status_code == 200
    assert [r.message for r in caplog.records if r.name == "connector.webhooks"] == ["webhook not understood"]
    assert InboxEvent.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        a_bell(type="one"),
        a_bell(type=True),
        a_bell(data=None),
        a_bell(data=[]),
        a_bell(data={"order_id": "a name with spaces"}),
        a_bell(shop_id="\x00"),
    ],
)
def test_what_tiktok_signed_in_another_shape_is_answered_and_said_once_in_the_log(body, caplog):
    assert from_tiktok(body).status_code == 200
    assert [r.message for r in caplog.records if r.name == "connector.webhooks"] == ["webhook not understood"]
    assert InboxEvent.objects.count() == 0


@pytest.mark.parametrize("told", [None, "soon", "9" * 5000])
def test_what_names_no_time_rings_all_the_same(told):
    assert from_tiktok(a_bell(timestamp=told)).status_code == 200
    event = InboxEvent.objects.get()
    assert (event.subject, abs(event.triggered_at - event.received_at) < timedelta(minutes=1)) == (
        "5771",
        True,
    )


@pytest.mark.parametrize("name", ["\x00", "n" * 5000, "", "two words"])
def test_a_notification_with_an_odd_name_is_known_by_its_bytes(name):
    for _ in range(2):
        assert from_tiktok(a_bell(tts_notification_id=name)).status_code == 200
    assert InboxEvent.objects.get().subject == "5771"


def test_an_order_id_that_can_be_none_is_not_kept_of_an_event_that_is_about_something_else():
    for number, words in enumerate(("Ana Silva, 10 Example Street", "5771\x00", "5" * 65)):
        body = a_bell(type=27, tts_notification_id=f"n-{number}", data={"order_id": words})
        assert from_tiktok(body).status_code == 200
    assert set(InboxEvent.objects.values_list("topic", "subject")) == {("InventoryStatusChange", "")}


def test_of_tags_only_ours_are_kept_and_without_what_no_database_takes():
    assert from_shopify(b'{"id": 1, "tags": "tts-1\\u0000, Ana Silva"}').status_code == 200
    assert InboxEvent.objects.get().facts["tags"] == ["tts-1"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Shopify_Topic": "Ana Silva, 10 Example Street"},
        {"X_Shopify_Topic": "t" * 65},
        {"X_Shopify_Webhook_Id": "w" * 5000},
        {"X_Shopify_Webhook_Id": "two words"},
        {"X_Shopify_Shop_Domain": "shop.example.com"},
    ],
    ids=str,
)
def test_a_header_that_is_none_of_shopifys_leaves_no_row(headers):
    assert from_shopify(ORDER, **headers).status_code == 200
    assert InboxEvent.objects.count() == 0


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon", ""])
def test_a_time_that_cannot_be_is_taken_as_now(at):
    assert from_shopify(ORDER, X_Shopify_Triggered_At=at).status_code == 200
    assert abs(InboxEvent.objects.get().triggered_at - timezone.now()).total_seconds() < 60


def test_an_unknown_topic_is_stored_without_its_body_and_closed_when_it_is_looked_at(shop):
    assert from_shopify(b'{"id": 1, "email": "a@b.c"}', X_Shopify_Topic="carts/create").status_code == 200
    jobs.drain(shop.pk)
    event = InboxEvent.objects.get()
    assert (event.outcome, event.due_at, event.facts) == ("no meaning to us", None, {})


def test_an_event_of_an_unknown_shop_is_stored_as_done_and_rings_nobody():
    assert from_shopify(ORDER, X_Shopify_Shop_Domain="stranger.myshopify.com").status_code == 200
    assert from_tiktok(a_bell()).status_code == 200
    assert set(InboxEvent.objects.values_list("outcome", "due_at", "shop")) == {("unknown shop", None, None)}


def test_a_doubled_delivery_is_one_row():
    for _ in range(3):
        assert from_shopify(ORDER).status_code == 200
        assert from_tiktok(a_bell()).status_code == 200
    assert InboxEvent.objects.count() == 2


def test_a_body_beyond_the_limit_is_413_and_leaves_no_row(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert from_shopify(b'{"id": 1, "tags": "' + b"x" * 2000 + b'"}').status_code == 413
    assert from_tiktok(a_bell(words="x" * 2000)).status_code == 413
    assert from_tiktok(b"x" * 2000, signature="0" * 64).status_code == 413
    assert InboxEvent.objects.count() == 0


def test_what_nobody_signed_costs_no_query():
    connection.close()
    assert from_shopify(ORDER, secret="another").status_code == 401
    assert from_tiktok(a_bell(), signature="0" * 64).status_code == 401
    assert from_shopify(b"no json at all", secret="another").status_code == 401  # not even read
    assert from_shopify(ORDER, left_out="X-Shopify-Hmac-Sha256").status_code == 400
    assert connection.connection is None, "somebody asked the database"
    assert from_shopify(ORDER).status_code == 200
    assert connection.connection is not None


def test_a_connection_has_the_statement_planned_once_however_many_webhooks_it_stores():
    for number in range(9):
        assert from_shopify(ORDER, X_Shopify_Webhook_Id=f"w-{number}").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute(PREPARED)
        assert cursor.fetchall() == [(9,)]
    assert InboxEvent.objects.count() == 9


def test_a_pooler_that_gives_another_server_loses_no_webhook():
    for number in range(3):
        assert from_shopify(ORDER, X_Shopify_Webhook_Id=f"w-{number}").status_code == 200
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")  # a server that knows nothing of our statements
    assert InboxEvent.objects.count() == 3


def test_a_connection_that_the_server_ended_is_opened_again():
    assert from_shopify(ORDER).status_code == 200
    ended = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [ended])
        assert cursor.fetchone() == (True,)
    other.close()
    assert from_shopify(ORDER, X_Shopify_Webhook_Id="w-2").status_code == 200
    assert InboxEvent.objects.count() == 2


def test_a_server_that_dies_under_a_statement_is_the_database_being_away_and_no_bug_of_ours():
    statement = Statement.of("SELECT pg_sleep(1)::text")
    connection.ensure_connection()
    line = socket.socket(fileno=os.dup(connection.connection.pgconn.socket))
    threading.Timer(0.2, line.shutdown, [socket.SHUT_RDWR]).start()
    with pytest.raises(OperationalError):
        statement.first_row()
    line.close()
    assert statement.first_row() == [b""]


def test_what_cannot_be_stored_is_said_and_answered_500_so_that_it_is_sent_again(caplog):
    with transaction.atomic():  # could be undone after the answer
        assert from_shopify(ORDER).status_code == 500
    assert "webhook not stored" in caplog.messages
    assert InboxEvent.objects.count() == 0


def test_a_value_that_postgresql_would_cut_short_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        Statement.of("SELECT $1").first_row(b"Ana\0Silva")


@pytest.mark.parametrize("ask", [through_doors, through_django])
def test_granians_way_and_djangos_lead_to_the_same_doors(ask, settings, caplog):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    app, body = settings.TIKTOK_APPS["US"], a_bell()
    right = {"Authorization": signing.webhook_signature(app["app_key"], app["app_secret"], body)}
    asked = [("POST", body, right), ("POST", body, right), ("POST", body, {}), ("POST", b"x" * 1001, {})]
    answers = [ask(method, "/webhooks/tiktok", *rest) for method, *rest in [*asked, ("GET",)]]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 413, 405]
    assert {answer.content for answer in answers} == {b""}
    assert answers[-1]["Allow"] == "POST"
    assert [(r.path, r.status) for r in caplog.records if r.message == "webhook refused"] == [
        ("/webhooks/tiktok", status) for status in (401, 413, 405)
    ]
    assert InboxEvent.objects.count() == 1
    assert ask("GET", "/healthz").status_code == 200  # whatever is no door


@pytest.fixture
def web():
    """The real server, as the Procfile starts it, over this test's database; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    database = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    env = os.environ | {"PORT": str(port), "WEB_PROCESSES": "1", "DATABASE_URL": database}
    with subprocess.Popen(web_command(env), env=env) as server:
        try:
            wait_for_door(port)
            yield port
        finally:
            server.terminate()


def wait_for_door(port: int) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            with talk(port) as (talking, hear):
                talking.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return hear.readline()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up")


@contextmanager
def talk(port: int):
    """A raw connection, and what is heard on it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as talking, talking.makefile("rb") as hear:
        yield talking, hear


def sent(port: int, head: list[str], pieces: Iterable[bytes]) -> int:
    """The status of the answer to one request, which is sent piece by piece."""
    with talk(port) as (talking, hear):
        talking.sendall("\r\n".join([*head, "", ""]).encode())
        with suppress(BrokenPipeError):  # the server may know enough before the end
            for piece in pieces:
                talking.sendall(piece)
        return status_of(hear)


def status_of(hear: BinaryIO) -> int:
    """Of the next answer, which has no body."""
    status = int(hear.readline().split()[1])
    while hear.readline().strip():
        pass
    return status


def chunked(body: bytes) -> Iterator[bytes]:
    """As Node sends what was given to write() and end()."""
    for piece in (body[: len(body) // 2], body[len(body) // 2 :]):
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
        time.sleep(0.05)
    yield b"0\r\n\r\n"


def heads(body: bytes) -> dict[str, list[str]]:
    """The signed request of each door, without what says how long its body is."""
    app = django_settings.TIKTOK_APPS["US"]
    told = {
        "/webhooks/tiktok": {
            "Authorization": signing.webhook_signature(app["app_key"], app["app_secret"], body)
        },
        "/webhooks/shopify": signed_by_shopify(body),
    }
    return {
        path: [
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            *(f"{name}: {value}" for name, value in of.items()),
        ]
        for path, of in told.items()
    }


def test_a_body_that_comes_in_chunks_is_read_to_its_end_and_one_beyond_the_limit_is_refused(web):
    body = a_bell(id=1)
    for head in heads(body).values():
        assert sent(web, [*head, "Transfer-Encoding: chunked"], chunked(body)) == 200
    assert {event.source for event in InboxEvent.objects.all()} == {"tiktok", "shopify"}
    large = b" " * (django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    for head in heads(large).values():
        assert sent(web, [*head, "Transfer-Encoding: chunked"], chunked(large)) == 413
    whole = large[1:]
    for head in heads(whole).values():  # as long as is allowed: signed, and no JSON
        assert sent(web, [*head, "Transfer-Encoding: chunked"], chunked(whole)) == 200
    assert InboxEvent.objects.count() == 2


def test_a_connection_that_stays_open_without_a_body_is_answered_at_once(web):
    for head in heads(b"").values():
        with talk(web) as (talking, hear):
            for _ in range(3):
                began = time.monotonic()
                talking.sendall("\r\n".join([*head, "", ""]).encode())
                assert status_of(hear) in (200, 401)
                assert time.monotonic() - began < 2


def test_what_granian_serves_has_the_doors_in_front_and_its_modules_out_of_the_collectors_way():
    looks = (
        "import gc, connector.wsgi as w; print(type(w.application).__name__, gc.get_freeze_count() > 50_000)"
    )
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Doors", "True"]


@pytest.mark.parametrize("module", ["tiktok/webhooks.py", "shopify_app/webhooks.py", "connector/status.py"])
def test_what_a_stranger_sends_is_compared_in_constant_time(module):
    """Nothing else can be measured on a busy machine: every comparison of a secret is `hmac.compare_digest`."""
    source = Path(module).read_text()
    assert "hmac.compare_digest(" in source
    assert not re.search(
        r"(signature|expected|given|TOKEN)\s*[!=]=|[!=]=\s*(signature|expected|given)", source
    )


def test_only_posts_are_webhooks():
    assert through_doors("GET", "/webhooks/shopify").status_code == 405
    assert through_doors("PUT", "/webhooks/tiktok").status_code == 405


def test_nothing_of_a_person_is_kept_of_a_delivery():
    body = json.dumps(
        {
            "id": 1,
            "order_id": 2,
            "status": "success",
            "email": "ana@example.com",
            "destination": {"first_name": "Ana", "address1": "10 Example Street", "phone": "+15125550100"},
        }
    ).encode()
    assert from_shopify(body, X_Shopify_Topic="fulfillments/create").status_code == 200
    kept = json.dumps(InboxEvent.objects.values().get(), default=str)
    assert not any(word in kept for word in ("ana@", "Ana", "Example", "5125550100"))


def test_a_valkey_that_never_answers_keeps_neither_a_webhook_nor_the_clock_waiting(settings):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings.REDIS_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        began = time.monotonic()
        assert from_shopify(ORDER).status_code == 200
        answered = time.monotonic() - began
        wake.shop(1)
        wake.lower(1)
        assert answered < 0.5
        assert time.monotonic() - began < 3
    assert InboxEvent.objects.get().due_at <= timezone.now()
