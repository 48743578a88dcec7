"""A doorbell: rung once, answered once, and nothing else of it kept."""

import socket
import time

import django_rq
import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from connector import clock, wake
from connector.doorbells import Doorbell, Doorbells
from connector.models import InboxEvent
from shopify_app.models import Shop


def queued() -> list[tuple[int, ...]]:
    return [job.args for job in django_rq.get_queue("default").jobs]


def test_of_a_doorbell_valkey_keeps_its_flag_and_its_place_in_the_queue():
    wake.shop(7)
    wake.shop(7)
    wake.shop(8)
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        assert set(valkey.keys()) == {b"connector:awake:7", b"connector:awake:8", b"rq:queue:default"}
        assert 0 < valkey.ttl("connector:awake:7") <= wake.FLAG_SECONDS
    assert queued() == [(7,), (8,)]


def test_a_worker_takes_a_doorbell_and_leaves_nothing_of_it():
    wake.shop(7)
    queue = django_rq.get_queue("default")
    job, whose = Doorbells.dequeue_any([queue], None, queue.connection, Doorbell)
    assert (job.func_name, job.args, whose.name) == ("connector.jobs.begin", (7,), "default")
    wake.lower(7)
    assert queue.connection.keys() == []


def test_a_lowered_flag_lets_the_shop_be_rung_again():
    wake.shop(7)
    wake.lower(7)
    wake.shop(7)
    assert queued() == [(7,), (7,)]


def test_what_is_nobodys_doorbell_is_passed_over():
    queue = django_rq.get_queue("default")
    queue.push_job_id("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    queue.push_job_id("7")
    job, _ = Doorbells.dequeue_any([queue], None, queue.connection, Doorbell)
    assert job.args == (7,)
    assert Doorbells.dequeue_any([queue], None, queue.connection, Doorbell) is None


def test_a_transaction_rings_when_it_is_over_and_not_when_it_is_taken_back(transactional_db):
    with transaction.atomic():
        wake.shop(7)
        assert queued() == []
    assert queued() == [(7,)]
    try:
        with transaction.atomic():
            wake.shop(8)
            raise Shop.DoesNotExist
    except Shop.DoesNotExist:
        pass
    assert queued() == [(7,)]


def test_many_shops_are_rung_by_few_calls_each_once_and_in_their_order():
    wake.shop(7)
    many = list(range(1, 2 * wake.RUNG_AT_ONCE + 2))
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        before = calls(valkey)
        wake.shops(many)
        assert calls(valkey) - before == 3
    assert queued() == [(7,), *((shop,) for shop in many if shop != 7)]


def calls(valkey: redis.Redis) -> int:
    stats = valkey.info("commandstats")
    return sum(stats[name]["calls"] for name in stats if name in ("cmdstat_evalsha", "cmdstat_eval"))


def test_a_valkey_that_hangs_holds_the_sweep_up_once_and_is_said_in_one_line(
    transactional_db, settings, caplog
):
    for n in range(40):
        shop = Shop.objects.create(domain=f"s{n}.myshopify.com")
        InboxEvent.objects.create(source="tiktok", key=f"{n}", topic="x", shop=shop, due_at=timezone.now())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        began = time.monotonic()
        assert clock.sweep() == 40
        assert time.monotonic() - began < 2
    assert [record.message for record in caplog.records] == ["wake not sent; the sweep will find the work"]


def test_scripts_that_valkey_has_forgotten_are_told_it_again():
    wake.shop(7)
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.flushdb()
        valkey.script_flush()
    wake.shop(7)
    assert queued() == [(7,)]
