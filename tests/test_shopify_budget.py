import threading
import time
import uuid

import pytest
import redis

from shopify_app.budget import Budget
from shopify_app.errors import Busy

GONE = "redis://127.0.0.1:9"


@pytest.fixture
def shop():
    """A shop of this test's own: what a process knows of a shop outlives a test."""
    return f"{uuid.uuid4().hex}.myshopify.com"


def status(available, maximum=2000, rate=100):
    return {"currentlyAvailable": available, "maximumAvailable": maximum, "restoreRate": rate}


def learn(shop, available, **more):
    live = Budget(shop, live=True)
    live.settle(live.take(1), status(available, **more))


def test_a_new_shop_starts_with_the_standard_budget(shop):
    live = Budget(shop, live=True)
    live.take(2000)
    with pytest.raises(Busy):
        live.take(20)


def test_back_fill_leaves_the_last_fifth_to_live_work(shop):
    learn(shop, 420)
    backfill = Budget(shop, live=False)
    backfill.take(10)
    with pytest.raises(Busy) as busy:
        backfill.take(200)
    assert 1.5 <= busy.value.retry_after <= 2.1
    Budget(shop, live=True).take(200)


def test_the_wait_is_as_long_as_the_points_take_to_return(shop):
    learn(shop, 0, rate=50)
    with pytest.raises(Busy) as busy:
        Budget(shop, live=True).take(10)
    assert 0.1 <= busy.value.retry_after <= 0.22
    time.sleep(busy.value.retry_after)
    Budget(shop, live=True).take(10)


def test_shopifys_figures_replace_ours_minus_what_is_on_its_way(shop):
    live = Budget(shop, live=True)
    first, second = live.take(1000), live.take(900)
    live.settle(first, status(1500))
    with pytest.raises(Busy):
        live.take(700)
    live.settle(second, status(1500))
    live.take(1400)


def test_a_call_without_an_answer_gives_its_points_back_with_time_only(shop):
    live = Budget(shop, live=True)
    live.settle(live.take(1990), None)
    with pytest.raises(Busy):
        live.take(100)


def test_a_larger_plan_is_learned_from_the_answer(shop):
    learn(shop, 19_000, maximum=20_000, rate=1000)
    Budget(shop, live=True).take(15_000)


def test_shops_do_not_share_points(shop):
    learn(shop, 0)
    Budget("other.myshopify.com", live=True).take(1000)


def test_all_workers_draw_from_one_budget(shop):
    learn(shop, 500, rate=1)
    taken = []

    def work():
        while True:
            try:
                Budget(shop, live=True).take(10)
            except Busy:
                return
            taken.append(10)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert 490 <= sum(taken) <= 510


def test_without_valkey_a_process_keeps_to_its_share(shop, settings):
    settings.WORKER_PROCESSES = 4
    settings.REDIS_URL = f"{GONE}/1"
    live = Budget(shop, live=True)
    live.take(490)
    with pytest.raises(Busy) as busy:
        live.take(30)
    assert 0.5 <= busy.value.retry_after <= 1
    live.settle("x:1", status(0))
    with pytest.raises(Busy):
        live.take(10)


def test_a_valkey_that_is_gone_is_not_asked_again_at_once(shop, settings):
    settings.REDIS_URL = f"{GONE}/2"
    live = Budget(shop, live=True)
    live.take(1)
    began = time.monotonic()
    for _ in range(50):
        live.take(1)
    assert time.monotonic() - began < 0.2


@pytest.fixture
def valkey(settings):
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as valkey:
        yield valkey


def test_while_there_are_plenty_of_points_an_answer_goes_to_valkey_with_the_next_take(shop, valkey):
    live = Budget(shop, live=True)
    points, held = live.keys
    first, second = live.take(10), live.take(10)
    live.settle(first, status(1400))
    live.settle(second, status(1390))
    assert set(valkey.zrange(held, 0, -1)) == {first, second}
    third = live.take(10)
    assert valkey.zrange(held, 0, -1) == [third]
    assert 1380 <= float(valkey.hget(points, "level")) <= 1400


def test_when_points_are_short_the_others_hear_of_it_at_once(shop, valkey):
    live = Budget(shop, live=True)
    points, held = live.keys
    first, second = live.take(10), live.take(10)
    live.settle(first, status(1900))
    live.settle(second, status(900))
    assert valkey.zcard(held) == 0
    assert float(valkey.hget(points, "level")) == 900


def test_an_answer_that_was_kept_does_not_replace_a_newer_one_of_another_worker(shop, valkey):
    live = Budget(shop, live=True)
    live.settle(live.take(1), status(1900))
    now = sum(part / scale for part, scale in zip(valkey.time(), (1, 1e6), strict=True))
    figures = {"level": 300, "at": now, "told": now + 60, "max": 2000, "rate": 0.001}
    valkey.hset(live.keys[0], mapping=figures)
    assert 299 <= live.room() <= 301


def test_an_answer_that_was_kept_counts_from_when_it_came(shop):
    live = Budget(shop, live=True)
    live.settle(live.take(1), status(1200, rate=200))
    time.sleep(0.5)
    assert 1290 <= live.room() <= 2000


def test_what_is_kept_in_valkey_goes_away_by_itself(shop, settings):
    Budget(shop, live=True).take(1)
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        keys = list(valkey.scan_iter("shopify:*"))
        assert len(keys) == 2
        assert all(0 < valkey.ttl(key) <= 3600 for key in keys)
