"""The budget of calls to TikTok, in a real Valkey and without one."""

import socket
import time

import pytest
from django.conf import settings

from tiktok import budget, endpoints
from tiktok.errors import Busy

READ, WRITE = endpoints.ORDERS, endpoints.SHIP["202309"]


@pytest.fixture
def open_limiter():
    opened = []

    def make(url=None, processes=1):
        opened.append(budget.Limiter(url or settings.REDIS_URL, processes))
        return opened[-1]

    yield make
    for limiter in opened:
        limiter.valkey.close()


def burst(limiter, endpoint=READ, live=True, shop="1", most=100):
    """How many calls go through at once."""
    return next(n for n in range(most) if limiter.take(shop, endpoint, live=live) > 0)


def test_a_new_shop_may_spend_a_second_of_the_planned_rate_at_once(open_limiter):
    limiter = open_limiter()
    assert budget.READS_PER_SECOND <= burst(limiter) <= budget.READS_PER_SECOND + 5
    assert budget.WRITES_PER_SECOND <= burst(limiter, WRITE) <= budget.WRITES_PER_SECOND + 5


def test_workers_share_one_budget(open_limiter):
    burst(open_limiter())
    assert burst(open_limiter()) <= 3


def test_shops_and_endpoints_have_their_own(open_limiter):
    limiter = open_limiter()
    burst(limiter)
    assert burst(limiter, shop="2") >= budget.READS_PER_SECOND
    assert limiter.take("1", endpoints.WAREHOUSES, live=True) == 0


def test_back_fill_leaves_the_last_fifth_to_live_work(open_limiter):
    limiter = open_limiter()
    whole = burst(limiter, shop="2")
    assert burst(limiter, live=False) < whole
    assert limiter.take("1", READ, live=False) > 0
    assert limiter.take("1", READ, live=True) == 0


def test_the_wait_is_as_long_as_it_says(open_limiter):
    limiter = open_limiter()
    burst(limiter)
    wait = limiter.take("1", READ, live=True)
    assert 0 < wait <= 1 / budget.READS_PER_SECOND
    time.sleep(wait + 0.01)
    assert limiter.take("1", READ, live=True) == 0


def test_a_throttled_endpoint_pauses_and_halves_its_rate_once(open_limiter):
    limiter = open_limiter()
    for _ in range(3):
        limiter.shrink("1", READ, 0.05)
    assert 0 < limiter.take("1", READ, live=True) <= 0.05
    rate = float(limiter.valkey.hget(budget.key("1", READ), "rate"))
    assert budget.READS_PER_SECOND / 2 <= rate < budget.READS_PER_SECOND / 2 + 1


def test_the_rate_grows_again_with_use_and_never_above_the_ceiling(open_limiter):
    limiter = open_limiter()
    name = budget.key("1", READ)
    limiter.shrink("1", READ, 0.01)
    before = float(limiter.valkey.hget(name, "rate"))
    time.sleep(0.3)
    assert limiter.take("1", READ, live=True) == 0
    assert before < float(limiter.valkey.hget(name, "rate")) <= before + budget.GROWTH
    limiter.valkey.hset(name, "rate", budget.CEILING * 2)
    limiter.take("1", READ, live=True)
    assert float(limiter.valkey.hget(name, "rate")) == budget.CEILING


def test_without_valkey_each_process_keeps_to_its_share(open_limiter):
    limiter = open_limiter("redis://127.0.0.1:9/0", processes=4)
    assert burst(limiter) == budget.READS_PER_SECOND / 4
    assert 0 < limiter.take("1", READ, live=True) <= 4 / budget.READS_PER_SECOND
    limiter.shrink("1", READ, 30)
    assert limiter.take("1", READ, live=True) > 29


def test_a_valkey_that_does_not_answer_costs_one_short_wait(open_limiter):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limiter = open_limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        began = time.monotonic()
        for _ in range(5):
            assert limiter.take("1", READ, live=True) == 0
        assert time.monotonic() - began < 0.6


def test_a_spent_budget_is_busy_and_never_sleeps():
    began = time.monotonic()
    with pytest.raises(Busy) as caught:
        for _ in range(100):
            budget.spend("1", READ, live=True)
    assert time.monotonic() - began < 0.5
    assert 0 < caught.value.retry_after < 1
    assert not caught.value.may_have_acted
