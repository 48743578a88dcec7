"""Orders that were claimed together are read at TikTok together, and none of them suffers from another."""

from django.utils import timezone

from connector import jobs, steps, work
from connector.models import Order
from connector.states import OrderState as State


def test_orders_that_are_due_together_are_read_by_one_call(world):
    orders = cancelled_together(world, 5)
    assert calls_for_a_round(world) == 1
    assert states(world, orders) == [State.CANCELLED] * 5


def test_when_the_call_fails_each_of_them_is_tried_again(world):
    orders = cancelled_together(world, 3)
    world.tiktok.faults.add("get_order", "503")
    assert calls_for_a_round(world) == 0  # the call that failed does not count
    assert [world.order(order.tiktok_id).attempts for order in orders] == [1, 1, 1]
    world.settle()
    assert states(world, orders) == [State.CANCELLED] * 3


def test_when_the_call_is_refused_each_is_asked_for_by_itself(world):
    orders = cancelled_together(world, 3)
    world.tiktok.faults.add("get_order", "error", code=36009004, message="One of the ids is not valid")
    assert calls_for_a_round(world) == 3
    assert states(world, orders) == [State.CANCELLED] * 3


def test_an_order_that_the_answer_leaves_out_is_asked_for_by_itself(world):
    orders = cancelled_together(world, 3)
    world.answers_once(orders[0].tiktok_id)
    assert calls_for_a_round(world) == 2
    assert states(world, orders) == [State.CANCELLED] * 3


def test_who_looks_twice_sees_what_is_new(world):
    cancelled_together(world, 2)
    row = next(row for row in jobs.claim(world.shop.pk, 20) if isinstance(row, Order))
    assert row.reading is not None
    before = world.tiktok.calls["getOrderDetail"]
    for _ in range(2):
        assert steps.look(row).cancelled
    assert world.tiktok.calls["getOrderDetail"] == before + 2


def cancelled_together(world, count: int) -> list[Order]:
    """Held orders that TikTok has cancelled; they are due, and no doorbell of theirs is on its way."""
    orders = [world.placed() for _ in range(count)]
    world.tiktok.webhooks.drop(count)
    for order in orders:
        world.tiktok.cancel(order.tiktok_id)
    Order.objects.filter(pk__in=[order.pk for order in orders]).update(due_at=timezone.now())
    return orders


def calls_for_a_round(world) -> int:
    before = world.tiktok.calls["getOrderDetail"]
    for row in jobs.claim(world.shop.pk, 20):
        work.run(row, jobs.STEPS[type(row)])
    return world.tiktok.calls["getOrderDetail"] - before


def states(world, orders: list[Order]) -> list[str]:
    return [world.order(order.tiktok_id).state for order in orders]
