"""Turns of several shops in one worker: side by side, rung while they last, seen home when the worker is told to go."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import django_rq
import pytest

from connector import jobs, wake
from connector.models import Order
from connector.states import OrderState as State
from connector.turns import Turn, Turns
from tests.processes import running


def eventually(is_so: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


class Stage:
    """Turns that last until the test lets them go."""

    def __init__(self, at_once: int) -> None:
        self.turns = Turns(self.take, at_once)
        self.begun: list[int] = []
        self.looks: list[int] = []
        self.go = {shop: threading.Event() for shop in range(5)}

    def take(self, shop_id: int, turn: Turn) -> None:
        self.begun.append(shop_id)
        while True:
            rung = turn.look_out()
            self.looks.append(shop_id)
            self.go[shop_id].wait(20)
            if turn.leave():
                return
            rung.result(20)


@pytest.fixture
def stage() -> Iterator[Callable[[int], Stage]]:
    made: list[Stage] = []

    def build(at_once: int) -> Stage:
        made.append(Stage(at_once))
        return made[-1]

    yield build
    for one in made:
        for event in one.go.values():
            event.set()
        assert one.turns.finish(20)


def test_shops_have_their_turns_side_by_side(stage):
    two = stage(2)
    two.turns.begin(1)
    two.turns.begin(2)
    eventually(lambda: sorted(two.begun) == [1, 2])


def test_a_shop_that_is_woken_during_its_turn_looks_again_and_has_no_second_turn(stage):
    one = stage(2)
    one.turns.begin(1)
    eventually(lambda: one.looks == [1])
    one.turns.begin(1)
    one.turns.begin(1)
    one.go[1].set()
    assert one.turns.finish(20)
    assert (one.begun, one.looks) == ([1], [1, 1])


def test_while_all_seats_are_taken_the_next_shop_waits_and_then_has_its_turn(stage):
    one = stage(1)
    one.turns.begin(1)
    with ThreadPoolExecutor(1) as queue:
        waiting = queue.submit(one.turns.begin, 2)
        eventually(lambda: one.begun == [1])
        assert not waiting.done()
        one.go[1].set()
        waiting.result(20)
    eventually(lambda: one.begun == [1, 2])


def test_who_waits_for_a_seat_when_it_is_told_to_stop_waits_no_longer(stage):
    one = stage(1)
    one.turns.begin(1)
    with ThreadPoolExecutor(1) as queue:
        waiting = queue.submit(one.turns.begin, 2)
        eventually(lambda: one.turns.seconds(5) < 1)
        one.turns.stop()
        assert waiting.result(2) is False
    assert one.begun == [1] and one.turns.seconds(5) == 5


def test_a_turn_is_short_while_another_shop_waits_for_a_seat(stage):
    one = stage(1)
    one.turns.begin(1)
    assert one.turns.seconds(5) == 5
    with ThreadPoolExecutor(1) as queue:
        queue.submit(one.turns.begin, 2)
        eventually(lambda: one.turns.seconds(5) < 1)
        assert one.turns.seconds(0) == 0
        one.go[1].set()
    eventually(lambda: one.turns.seconds(5) == 5)


def test_a_wake_up_after_the_last_look_of_a_turn_gives_another():
    turn = Turn()
    turn.look_out()
    assert turn.leave()
    assert not turn.ring()
    turn = Turn()
    turn.look_out()
    assert turn.ring()
    assert not turn.leave()


def test_no_shop_has_more_than_its_share_of_the_threads(stage):
    four = stage(4)
    shares = []
    for shop in range(4):
        four.turns.begin(shop)
        shares.append(four.turns.share(16))
    assert shares == [8, 8, 5, 4]
    assert four.turns.share(2) == 1


def test_what_comes_while_a_row_waits_for_its_platform_is_not_kept_waiting(world, settings):
    settings.CALL_DEADLINE_SECONDS = 9
    world.shopify.faults.add("draftOrderCreate", "timeout_before", seconds=8)
    stuck = world.tiktok.place_order()
    world.tiktok.webhooks.settle(5)
    jobs.begin(world.shop.pk)
    eventually(lambda: Order.objects.exclude(create_sent_at=None).exists())
    quick = world.tiktok.place_order()
    world.tiktok.webhooks.settle(5)
    jobs.begin(world.shop.pk)
    eventually(lambda: Order.objects.filter(tiktok_id=quick, state=State.ON_HOLD).exists())
    assert world.order(stuck).leased_until is not None
    assert jobs.turns.finish(20)
    world.settle(30)


def test_a_worker_that_is_told_to_stop_hands_its_rows_back_and_goes(world):
    world.shopify.settings.latency = 0.3
    ids = [world.tiktok.place_order() for _ in range(30)]
    world.tiktok.webhooks.settle(10)
    with running("worker") as process:
        wake.lower(world.shop.pk)
        wake.shop(world.shop.pk)
        eventually(lambda: Order.objects.exclude(leased_until=None).exists(), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not any(model.objects.exclude(leased_until=None).exists() for model in jobs.STEPS)
    assert any(model.due().exists() for model in jobs.STEPS), "all was done: the stop was not in the middle"
    assert (world.shop.pk,) in [job.args for job in django_rq.get_queue("default").jobs]
    world.shopify.settings.latency = 0
    world.settle(60)
    assert {world.order(tiktok_id).state for tiktok_id in ids} == {State.ON_HOLD}
    assert len(world.shopify_effects("draft_created")) == len(ids)


def test_a_worker_that_is_told_to_stop_does_not_wait_for_ever(world):
    world.shopify.settings.latency = 8
    world.tiktok.place_order()
    world.tiktok.webhooks.settle(10)
    with running("worker", STOP_SECONDS="0.5", CALL_DEADLINE_SECONDS="9") as process:
        wake.lower(world.shop.pk)
        wake.shop(world.shop.pk)
        eventually(lambda: Order.objects.exclude(leased_until=None).exists(), 60)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(20) == 0
    assert time.monotonic() - began < 7
    assert Order.objects.exclude(leased_until=None).exists()
    world.shopify.settings.latency = 0
