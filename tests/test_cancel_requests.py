"""A buyer asks to cancel: by when the seller must answer is read once, shown, told of, and gone with the request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from connector import alerts, choices
from connector.models import Alert, Order
from connector.reasons import reason
from connector.states import OrderState as State
from connector.states import ParcelState
from tests.visits import Visitor

UPS = "1Z999AA10123456784"


def searches(world) -> int:
    return world.tiktok.calls.get("searchCancellations", 0)


def record_of(world, order: Order) -> Any:
    """TikTok's own of the open request."""
    open_ones = [one for one in world.tiktok.world.cancellations.values() if one.status == "PENDING"]
    return next(one for one in open_ones if one.order_id == order.tiktok_id)


def answer_by(world, order: Order) -> datetime:
    return datetime.fromtimestamp(record_of(world, order).deadline, UTC)


def asked_to_cancel(world, **facts) -> Order:
    """An order that Shopify has, and whose buyer asks to cancel it."""
    order = world.finalized(**facts)
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    return world.order(order.tiktok_id)


def test_the_deadline_of_a_request_is_read_once(world):
    order = asked_to_cancel(world)
    assert (order.reason, order.cancel_due_at) == ("cancel_requested", answer_by(world, order))
    assert searches(world) == 1
    choices.look_again(order, by="7")
    world.settle()
    assert searches(world) == 1


def test_an_order_that_nobody_asks_to_cancel_costs_no_look_at_requests(world):
    order = world.finalized()
    assert (order.cancel_due_at, searches(world)) == (None, 0)


def test_a_request_before_the_order_is_complete_has_its_deadline_too(world):
    world.tiktok.webhooks.drop(1)
    tiktok_id = world.tiktok.place_order(hold=False)
    world.tiktok.buyer_requests_cancel(tiktok_id)
    world.settle()
    order = world.order(tiktok_id)
    assert (order.state, order.reason) == (State.ON_HOLD, "cancel_requested")
    assert order.cancel_due_at == answer_by(world, order)


def test_a_request_for_an_order_that_waits_for_its_product_has_its_deadline_too(world):
    tiktok_id = world.tiktok.place_order(hold=False, lines=[("TT-ONLY-7", 1)])
    world.tiktok.buyer_requests_cancel(tiktok_id)
    world.settle()
    order = world.order(tiktok_id)
    assert (order.state, order.reason) == (State.RECEIVED, "sku_unmapped")
    assert order.cancel_due_at == answer_by(world, order)


def test_a_request_that_is_made_anew_is_read_anew(world):
    order = asked_to_cancel(world)
    first = order.cancel_due_at
    world.tiktok.webhooks.pause()
    world.tiktok.decide_cancel(order.tiktok_id, approve=False, by="BUYER")
    world.tiktok.clock.advance(60)
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.tiktok.webhooks.resume()
    world.settle()
    order = world.order(order.tiktok_id)
    assert order.cancel_due_at == answer_by(world, order) > first
    assert searches(world) == 2


@pytest.mark.parametrize("by", ["BUYER", "SELLER"])
def test_a_request_that_is_withdrawn_or_refused_leaves_no_deadline(world, by):
    order = asked_to_cancel(world)
    world.tiktok.decide_cancel(order.tiktok_id, approve=False, by=by)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "")
    assert (order.cancel_due_at, order.cancel_request) == (None, "")


def test_a_request_that_is_granted_leaves_no_deadline(world):
    order = asked_to_cancel(world)
    world.tiktok.decide_cancel(order.tiktok_id, approve=True)
    world.after(2)
    order = world.order(order.tiktok_id)
    assert (order.state, order.cancel_due_at) == (State.CANCELLED, None)


@pytest.mark.parametrize("fault", ["500", "truncated", "lost_reply"])
def test_what_tiktok_does_not_tell_holds_up_nothing_and_is_asked_for_again(world, fault):
    world.tiktok.faults.add("cancellations", fault)
    order = asked_to_cancel(world)
    assert (order.reason, order.cancel_due_at) == ("cancel_requested", None)
    assert (order.attempts, order.last_error) == (0, "")
    assert "tiktok-cancel-requested" in world.store.orders[order.order_gid].tags
    world.after(15 * 60 + 1)
    order = world.order(order.tiktok_id)
    assert order.cancel_due_at == answer_by(world, order)


def test_without_the_permission_to_read_requests_everything_else_goes_on(world):
    refusal = {"code": 105005, "message": "Access denied", "times": 50}
    world.tiktok.faults.add("cancellations", "error", **refusal)
    order = asked_to_cancel(world)
    assert (order.reason, order.connection.paused_reason) == ("cancel_requested", "")
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    choices.send_anyway(world.parcel(order), by="7")
    world.settle()
    assert world.parcel(order).state == ParcelState.ACCEPTED


def test_a_record_that_tells_no_deadline_is_asked_for_again_while_the_request_is_open(world):
    order = asked_to_cancel(world)
    world.after(31)  # it is looked at once more after finalizing
    record_of(world, order).deadline = 0
    Order.objects.update(cancel_due_at=None)
    choices.look_again(order, by="7")
    world.settle()
    assert timedelta(0) < world.order(order.tiktok_id).due_at - timezone.now() <= timedelta(minutes=15)
    world.tiktok.decide_cancel(order.tiktok_id, approve=False, by="BUYER")
    world.settle()
    assert world.order(order.tiktok_id).due_at is None


def test_the_reason_says_by_when_to_answer(world):
    order = asked_to_cancel(world)
    with timezone.override(UTC):
        told = reason(order.reason).told(order.detail)
    assert told == f"Without an answer TikTok cancels the order on {order.cancel_due_at:%b %-d, %H:%M}."
    pages = Visitor(world.shop.domain)
    with timezone.override(world.shop.zone):
        at = f"{timezone.localtime(order.cancel_due_at):%b %-d, %H:%M}"
    assert at in pages.open("/orders", show="attention").content.decode()
    page = pages.open(f"/orders/{order.pk}").content.decode()
    assert "TikTok grants the buyer&#x27;s cancellation without your answer" in page
    assert page.count(at) > 1


def test_home_says_which_requests_are_to_be_answered_soon(world):
    order = asked_to_cancel(world)
    pages = Visitor(world.shop.domain)
    assert "must be answered" not in pages.open("/").content.decode()
    Order.objects.update(cancel_due_at=timezone.now() + timedelta(hours=3))
    page = pages.open("/").content.decode()
    assert "1 cancel request must be answered within 4 hours" in page
    assert f'href="/orders/{order.pk}"' in page


def test_the_merchant_is_told_twelve_and_four_hours_before(world, settings):
    settings.EMAIL_URL, settings.EMAIL_FROM = "memorymail://", "alerts@example.com"
    order = asked_to_cancel(world)
    Order.objects.update(cancel_due_at=timezone.now() + timedelta(hours=11))
    world.set_policy(alert_email="owner@fig.example")
    alerts.watch(timezone.now()).result(20)
    assert ("unanswered_12", order.tiktok_id) in Alert.objects.values_list("kind", "subject")
    assert f"TikTok order {order.tiktok_id}: the buyer asks to cancel it" in mail.outbox[0].body
    alerts.watch(timezone.now() + timedelta(hours=8)).result(20)
    kinds = set(Alert.objects.values_list("kind", flat=True))
    assert "unanswered_4" in kinds and "unanswered_12" not in kinds
