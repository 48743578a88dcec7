"""Whose turn it is among the rows of a shop, and what counts as a failure of theirs."""

from datetime import timedelta

from django.utils import timezone

import tiktok.budget
from connector import jobs, steps, work
from connector.models import Order
from shopify_app.budget import Budget
from tiktok.endpoints import ORDERS


def test_live_orders_go_before_the_backfill(world):
    ids = [world.placed().pk for _ in range(3)]
    Order.objects.filter(pk__in=ids).update(due_at=timezone.now() - timedelta(minutes=1), live=False)
    Order.objects.filter(pk=ids[2]).update(due_at=timezone.now(), live=True)
    assert [row.pk for row in Order.claim(world.shop.pk, 1)] == [ids[2]]
    assert {row.pk for row in Order.claim(world.shop.pk, 5)} == set(ids[:2])


def test_a_spent_budget_is_no_failure_of_the_row(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(due_at=timezone.now(), attempts=3)
    world.tiktok.faults.add("get_order", "429")
    [row] = Order.claim(world.shop.pk, 1)
    work.run(row, steps.advance_order)
    row.refresh_from_db()
    assert (row.attempts, row.failing_since, row.leased_until) == (3, None, None)
    assert row.due_at > timezone.now()
    world.settle()


def test_once_calls_were_short_no_order_begins_before_there_is_one(world):
    ids = due_without_a_budget(world, 4)
    leave_calls(world, 0.5)
    assert jobs.claim(world.shop.pk, 8) == []
    leave_calls(world, 1.5)
    assert len(jobs.claim(world.shop.pk, 8)) >= len(ids) - 1


def test_once_points_were_short_orders_begin_only_as_far_as_they_reach(world):
    due_without_a_budget(world, 4)
    name = tiktok.budget.key(world.connection.tiktok_shop.shop_id, ORDERS)
    tiktok.budget.limiter().valkey.delete(name)
    budget = Budget(world.shop.domain, live=True)
    few = {"currentlyAvailable": 2 * 14 + 5, "maximumAvailable": 2000, "restoreRate": 0.001}
    budget.settle(budget.take(1), few)
    assert len(jobs.claim(world.shop.pk, 8)) == 2


def test_a_turn_waits_for_the_budget_instead_of_leaving_its_rows_to_the_sweep(world):
    due_without_a_budget(world, 4)
    before = world.tiktok.calls["getOrderDetail"]
    jobs.drain(world.shop.pk)
    assert world.tiktok.calls["getOrderDetail"] > before


def due_without_a_budget(world, count: int) -> list[int]:
    """Orders that are due; TikTok's calls are spent, as a worker has just seen of one of them."""
    ids = [world.placed().pk for _ in range(count)]
    Order.objects.filter(pk__in=ids).update(due_at=timezone.now())
    leave_calls(world, 0)
    [row] = Order.claim(world.shop.pk, 1)
    work.run(row, steps.advance_order)
    return ids


def leave_calls(world, level: float) -> None:
    """So many calls in TikTok's bucket, which fills so slowly that a busy machine is not too slow for the test."""
    name = tiktok.budget.key(world.connection.tiktok_shop.shop_id, ORDERS)
    now = timezone.now().timestamp()
    tiktok.budget.limiter().valkey.hset(name, mapping={"rate": 0.01, "level": level, "at": now})


def test_older_orders_begin_only_as_far_as_the_budget_lets_them_end(world):
    ids = [world.placed().pk for _ in range(5)]
    Order.objects.filter(pk__in=ids).update(due_at=timezone.now(), live=False)
    budget = Budget(world.shop.domain, live=True)
    budget.settle(
        budget.take(1),
        {"currentlyAvailable": 400 + 3 * 14, "maximumAvailable": 2000, "restoreRate": 0.001},
    )
    assert len(jobs.claim(world.shop.pk, 8, begun=1)) == 2
    Order.objects.filter(pk__in=ids).update(due_at=timezone.now(), leased_until=None)
    budget.settle(budget.take(1), {"currentlyAvailable": 405, "maximumAvailable": 2000, "restoreRate": 0.001})
    Order.objects.filter(pk=ids[4]).update(live=True)
    assert [row.pk for row in jobs.claim(world.shop.pk, 8)] == [ids[4]]


def test_a_row_that_is_woken_again_and_again_keeps_its_place_in_the_queue(world):
    first, second = (world.placed() for _ in range(2))
    now = timezone.now()
    Order.objects.filter(pk=first.pk).update(due_at=now - timedelta(minutes=2))
    Order.objects.filter(pk=second.pk).update(due_at=now - timedelta(minutes=1))
    for _ in range(3):
        first.wake()
    [row] = Order.claim(world.shop.pk, 1)
    assert row.pk == first.pk


def test_a_row_that_is_woken_under_its_worker_is_looked_at_again(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(due_at=timezone.now() - timedelta(minutes=2))
    [row] = Order.claim(world.shop.pk, 1)
    order.wake()
    row.release(None)
    assert Order.objects.get(pk=order.pk).due_at is not None
