"""A process that is told to stop ends in time, whatever it waits for: a platform, a seat, a visitor."""

import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import django_rq
import pytest
from django.utils import timezone

from connector import clock, wake
from connector.models import Order
from shopify_app.models import Shop
from tests.processes import running
from tests.shopify_script import make_shop
from tests.test_turns import eventually

AT_REST = 6


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes every call and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        server.settimeout(60)
        yield server


@pytest.fixture
def at_rest(transactional_db, silent, settings) -> list[Shop]:
    """Shops whose grants are to be refreshed now, at a Shopify that says nothing."""
    settings.SHOPIFY_SHOP_URL = address(silent)
    now = timezone.now()
    times = {"access_expires_at": now - timedelta(hours=1), "refresh_expires_at": now + timedelta(days=29)}
    clock.at_rest.clear()
    return [make_shop(domain=f"s{n}.myshopify.com", **times) for n in range(AT_REST)]


def address(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_beat_of_the_clock_gives_a_silent_shopify_a_second_and_the_next_ones_go_on(
    at_rest, settings, caplog
):
    settings.CALL_DEADLINE_SECONDS = 0.7
    began = time.monotonic()
    clock.tick()
    assert time.monotonic() - began < 3
    assert refused(caplog) == 2
    clock.tick()
    clock.tick()
    clock.tick()
    assert refused(caplog) == AT_REST


def refused(caplog: pytest.LogCaptureFixture) -> int:
    return [record.message for record in caplog.records].count("grant not refreshed")


def test_a_clock_that_is_told_to_stop_ends_with_the_call_that_it_waits_for(at_rest, silent):
    with running("clock", CALL_DEADLINE_SECONDS="4", CONNECT_TIMEOUT_SECONDS="2") as process:
        call, _ = silent.accept()
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(20) == 0
        call.close()
    assert time.monotonic() - began < 7


def test_a_worker_that_is_told_to_stop_while_a_shop_waits_for_a_seat_goes_and_leaves_the_shop_to_another(
    world,
):
    world.shopify.settings.latency = 8
    world.tiktok.place_order()
    world.tiktok.webhooks.settle(10)
    waiting = Shop.objects.create(domain="waiting.myshopify.com")
    limits = {"DRAIN_TURNS": "1", "STOP_SECONDS": "0.5", "CALL_DEADLINE_SECONDS": "9"}
    with running("worker", **limits) as process:
        wake.lower(world.shop.pk)
        wake.shop(world.shop.pk)
        eventually(lambda: Order.objects.exclude(leased_until=None).exists(), 60)
        wake.shop(waiting.pk)
        queue = django_rq.get_queue("default")
        eventually(lambda: not queue.connection.exists(wake.FLAG.format(waiting.pk)))
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(20) == 0
    assert time.monotonic() - began < 5
    assert (waiting.pk,) in [job.args for job in queue.jobs]
    world.shopify.settings.latency = 0


def test_a_web_that_is_told_to_stop_ends_although_a_visitor_never_finishes(transactional_db):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running("web", PORT=str(port), WEB_PROCESSES="1") as process:
        eventually(lambda: answers(port), 60)
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(b"POST /webhooks/shopify HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{")
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            process.wait(20)
    assert time.monotonic() - began < 15


def answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as page:
        return page.read() == b"ok"
    return False
