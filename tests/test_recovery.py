"""Answers that never came, searches that lag, workers that die: every order still ends in exactly one right place."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models import F
from django.utils import timezone
from world import World

from connector import clock, jobs, parcels, steps, work
from connector.models import RESTS_IN_PAUSE, Connection, InboxEvent, Order, OrderLog, Parcel
from connector.states import OrderState as State
from connector.states import ParcelState
from shopify_app.models import Shop
from tiktok.models import Seller

UPS = "1Z410E7W0392751591"


def one_draft_one_order(world: World, tiktok_id: str) -> Order:
    """The promise, read from Shopify's own ledger."""
    order = world.order(tiktok_id)
    tag = f"tts-{tiktok_id}"
    drafts = [
        draft.id for draft in world.store.drafts.values() if tag in draft.tags and draft.status == "OPEN"
    ]
    orders = [placed.id for placed in world.store.orders.values() if tag in placed.tags]
    if order.order_gid:
        assert (drafts, orders) == ([], [order.order_gid])
    else:
        assert (drafts, orders) == ([order.draft_gid], [])
    return order


# ---- the create that cannot be repeated ----


def test_a_lost_reply_is_brought_home_by_the_drafts_own_webhook_without_a_search(hard_world):
    world = hard_world
    world.shopify.webhooks.late_or_doubled = 0
    world.shopify.faults.add("draftOrderCreate", "lost_reply")
    order = world.placed()
    assert order.state == State.ON_HOLD
    assert order.create_tries == 1
    one_draft_one_order(world, order.tiktok_id)


def test_a_lost_reply_and_a_lost_webhook_are_found_by_search_although_it_lags(hard_world):
    world = hard_world
    world.shopify.faults.add("draftOrderCreate", "lost_reply")
    world.shopify.webhooks.drop(1)
    order = world.placed()
    assert order.state == State.RECEIVED
    for seconds in (5, 10, 45):
        world.after(seconds)
    order = one_draft_one_order(world, order.tiktok_id)
    assert (order.state, order.create_tries) == (State.ON_HOLD, 1)


def test_a_create_that_never_arrived_is_sent_again_only_after_a_minute(world):
    world.shopify.faults.add("draftOrderCreate", "timeout_before")
    order = world.placed()
    for seconds in (5, 10):
        world.after(seconds)
        assert world.order(order.tiktok_id).create_tries == 1
    world.after(46)
    order = one_draft_one_order(world, order.tiktok_id)
    assert (order.state, order.create_tries) == (State.ON_HOLD, 2)


def test_a_draft_that_surfaces_after_the_second_create_is_deleted_before_completing(hard_world):
    world = hard_world
    world.shopify.settings.change(search_lag=3600.0)
    world.shopify.faults.add("draftOrderCreate", "lost_reply")
    world.shopify.webhooks.drop(1)
    order = world.placed()
    for seconds in (5, 10, 46):
        world.after(seconds)
    assert world.order(order.tiktok_id).create_tries == 2
    world.shopify.settings.change(search_lag=0.0)
    world.release_hold()
    assert one_draft_one_order(world, order.tiktok_id).state == State.FINALIZED


def test_an_order_cancelled_while_its_create_is_in_doubt_leaves_no_draft(world):
    world.shopify.faults.add("draftOrderCreate", "lost_reply")
    world.shopify.webhooks.drop(1)
    order = world.placed()
    world.tiktok.cancel(order.tiktok_id)
    world.settle()
    for seconds in (5, 10, 46):
        world.after(seconds)
    assert world.order(order.tiktok_id).state == State.CANCELLED
    assert world.store.drafts == {}


def test_a_throttled_create_is_sent_again_at_once_because_nothing_happened(world):
    world.shopify.faults.add("draftOrderCreate", "429")
    order = world.placed()
    assert one_draft_one_order(world, order.tiktok_id).state == State.ON_HOLD


def test_a_worker_that_was_overtaken_deletes_the_draft_it_just_made(world):
    tiktok_id = world.tiktok.place_order()
    world.tiktok.webhooks.settle(5)
    world.shopify.webhooks.drop(5)
    world.shopify.settings.latency = 0.5
    slow = threading.Thread(target=drain_as_a_worker, args=[world.shop.pk])
    slow.start()
    overtake_while_creating(tiktok_id)
    slow.join()
    assert world.shopify_effects("draft_created")
    assert world.store.drafts == {}


def overtake_while_creating(tiktok_id: str) -> None:
    """Another worker takes the row while the create is on its way."""
    for _ in range(200):
        if Order.objects.filter(tiktok_id=tiktok_id).exclude(create_sent_at=None).exists():
            break
        time.sleep(0.02)
    Order.objects.filter(tiktok_id=tiktok_id).update(leased_until=timezone.now() + timedelta(minutes=1))


@pytest.mark.parametrize(
    "operation", ["draftOrderUpdate", "draftOrderComplete", "orderUpdate", "orderCancel"]
)
@pytest.mark.parametrize("fault", ["lost_reply", "500", "timeout_before", "truncated"])
def test_every_other_effect_survives_a_lost_answer(world, operation, fault):
    order = world.placed()
    world.shopify.faults.add(operation, fault)
    world.release_hold()
    world.after(20)
    if operation == "orderCancel":
        world.tiktok.cancel(order.tiktok_id, by="SELLER")
        world.settle()
        world.after(20)
        assert world.store.orders[world.order(order.tiktok_id).order_gid].cancelled_at
    order = one_draft_one_order(world, order.tiktok_id)
    assert order.state == (State.CANCELLED if operation == "orderCancel" else State.FINALIZED)
    assert order.reason == ""


@pytest.mark.parametrize("fault", ["lost_reply", "500", "timeout_before", "truncated", "429"])
def test_tracking_is_accepted_once_whatever_happens_to_the_answer(world, fault):
    order = world.finalized()
    world.tiktok.faults.add("ship", fault)
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.after(20)
    assert world.parcel(order).state == ParcelState.ACCEPTED
    assert len(world.tiktok_effects("ship")) == 1
    assert world.tiktok_effects("ship_refused") == []


@pytest.mark.parametrize("fault", ["500", "timeout_before", "slow_drip", "truncated", "429", "503"])
def test_reading_an_order_is_tried_again_until_it_answers(world, fault):
    world.tiktok.faults.add("get_order", fault, times=2)
    order = world.placed()
    world.after(20)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


# ---- leases ----


def test_a_row_whose_worker_died_is_taken_again_when_its_lease_lapses(world):
    tiktok_id = world.tiktok.place_order()
    world.tiktok.webhooks.settle(5)
    assert InboxEvent.claim(world.shop.pk, 5)  # and the worker dies here
    jobs.drain(world.shop.pk)
    assert not Order.objects.filter(tiktok_id=tiktok_id).exists()
    InboxEvent.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    world.settle()
    assert world.order(tiktok_id).state == State.ON_HOLD


def test_a_wake_up_during_a_lease_is_not_lost_and_does_not_take_the_row(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(due_at=timezone.now())
    [held] = Order.claim(world.shop.pk, 1)
    order.wake()
    assert Order.claim(world.shop.pk, 1) == []
    held.wait(None)
    assert Order.objects.get(pk=order.pk).due_at is not None


def test_a_worker_that_was_overtaken_cannot_write(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(due_at=timezone.now())
    [slow] = Order.claim(world.shop.pk, 1)
    Order.objects.filter(pk=order.pk).update(leased_until=timezone.now() + timedelta(seconds=77))
    with pytest.raises(work.Overtaken):
        slow.move(State.CANCELLED)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_sixteen_workers_on_one_order_make_one_draft_and_one_completion(world):
    tiktok_id = world.tiktok.place_order(hold=False)
    world.tiktok.webhooks.settle(5)
    crowd = [threading.Thread(target=drain_as_a_worker, args=[world.shop.pk]) for _ in range(16)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    world.settle()
    assert one_draft_one_order(world, tiktok_id).state == State.FINALIZED
    assert len(world.shopify_effects("draft_created")) == 1


def drain_as_a_worker(shop_id: int) -> None:
    jobs.drain(shop_id)
    connections.close_all()


# ---- the pulls ----


def test_orders_that_no_webhook_told_of_are_found_by_the_pull(world):
    world.tiktok.webhooks.drop(100)
    ids = [world.tiktok.place_order() for _ in range(3)]
    next_pull(world)
    assert {world.order(tiktok_id).state for tiktok_id in ids} == {State.ON_HOLD}


def test_a_release_and_a_cancel_that_no_webhook_told_of_are_found_by_the_pull(world):
    released, cancelled = world.placed(), world.placed()
    world.tiktok.webhooks.drop(100)
    world.tiktok.release(released.tiktok_id)
    world.tiktok.cancel(cancelled.tiktok_id)
    next_pull(world)
    assert world.order(released.tiktok_id).state == State.FINALIZED
    assert world.order(cancelled.tiktok_id).state == State.CANCELLED


def test_a_payment_of_the_second_that_we_looked_in_is_found_by_the_pull_although_its_webhook_was_lost(world):
    order = world.placed(paid=False)
    assert (order.state, order.due_at) == (State.RECEIVED, None)
    world.tiktok.webhooks.drop(100)
    world.tiktok.pay(order.tiktok_id)
    world.tiktok.world.orders[order.tiktok_id].update_time = int(order.tiktok_updated_at.timestamp())
    pull_now(world)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_cancel_request_that_no_webhook_told_of_is_found_by_the_pull_however_old_the_order_is(world):
    order = world.finalized()
    world.after(3600)
    world.settle()
    world.tiktok.webhooks.drop(100)
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    pull_now(world)
    assert world.order(order.tiktok_id).reason == "cancel_requested"


@pytest.mark.parametrize("when", ["before finalizing", "after finalizing"])
def test_a_cancel_request_that_was_withdrawn_unheard_stands_for_a_quarter_of_an_hour_at_most(world, when):
    order = world.finalized() if when == "after finalizing" else world.placed()
    if when == "before finalizing":
        world.tiktok.webhooks.drop(1)
        world.tiktok.release(order.tiktok_id)
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    world.tiktok.webhooks.drop(100)
    world.tiktok.decide_cancel(order.tiktok_id, approve=False, by="BUYER")
    assert world.order(order.tiktok_id).reason == "cancel_requested"
    Connection.objects.update(
        due_at=None
    )  # not by a pull, whose window begins after the last change of status
    world.after(901)
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason, order.flags) == (State.FINALIZED, "", [])


def test_a_fulfillment_that_no_webhook_told_of_is_found_by_the_pull(world):
    order = world.finalized()
    world.shopify.webhooks.drop(100)
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    next_pull(world)
    assert world.parcel(order).state == ParcelState.ACCEPTED


def test_a_merchants_cancel_that_no_webhook_told_of_is_found_by_the_pull(world):
    order = world.finalized()
    world.shopify.webhooks.drop(100)
    world.store.cancel_order(order.order_gid)
    next_pull(world)
    assert world.order(order.tiktok_id).reason == "merchant_cancelled"


def pull_now(world: World) -> None:
    """While no time goes by: `pass_time` would make our last look an older one."""
    Connection.objects.update(tiktok_pulled_at=None, due_at=timezone.now())
    world.settle()


def next_pull(world: World) -> None:
    """TikTok's times are whole seconds, and a pull sees those that are over."""
    time.sleep(1.1)
    world.after(301)


def test_a_pull_goes_through_all_pages_and_moves_its_cursor_at_the_end(world, settings):
    world.tiktok.webhooks.drop(1000)
    ids = [world.tiktok.place_order() for _ in range(130)]
    before = Connection.objects.get().tiktok_cursor
    world.pass_time(301)
    world.settle(seconds=90)
    assert Order.objects.filter(tiktok_id__in=ids, state=State.ON_HOLD).count() == 130
    assert Connection.objects.get().tiktok_cursor > before
    assert world.tiktok.calls["getOrderList"] >= 2


def test_a_pull_that_fails_halfway_does_not_move_its_cursor(world):
    before = Connection.objects.get().tiktok_cursor
    world.tiktok.webhooks.drop(100)
    tiktok_id = world.tiktok.place_order()
    world.tiktok.faults.add("search_orders", "500", times=2)
    Connection.objects.update(due_at=timezone.now(), tiktok_pulled_at=None)
    jobs.drain(world.shop.pk)
    assert Connection.objects.get().tiktok_cursor == before
    world.settle()
    assert world.order(tiktok_id).state == State.ON_HOLD


def test_replaying_every_event_twice_writes_nothing_outside(world):
    """Forwards, then backwards, of every kind of life."""
    live_every_kind_of_life(world)
    assert set(InboxEvent.objects.values_list("topic", flat=True)) >= EVENTS_OF_THOSE_LIVES
    assert set(Order.objects.values_list("state", flat=True)) == ENDS_OF_THOSE_LIVES
    assert set(Parcel.objects.values_list("state", flat=True)) == {ParcelState.ACCEPTED, ParcelState.REPLACED}
    before, known = where_everything_stands(world), (len(world.tiktok.ledger), len(world.shopify.ledger))
    for turn in (1, -1):
        past = timezone.now() - timedelta(hours=1) + timedelta(milliseconds=turn) * F("pk")
        InboxEvent.objects.update(due_at=past, done_at=None)
        world.settle(60)
        assert InboxEvent.objects.filter(done_at=None).count() == 0
        assert (world.tiktok.ledger[known[0] :], world.shopify.ledger[known[1] :]) == ([], [])
        assert where_everything_stands(world) == before


ENDS_OF_THOSE_LIVES = {State.ON_HOLD, State.FINALIZED, State.SHIPPED, State.CANCELLED}
EVENTS_OF_THOSE_LIVES = {
    *(
        "ORDER_STATUS_CHANGE",
        "RECIPIENT_ADDRESS_UPDATE",
        "CANCELLATION_STATUS_CHANGE",
        "SELLER_DEAUTHORIZATION",
    ),
    *("draft_orders/create", "draft_orders/update", "draft_orders/delete"),
    *("fulfillments/create", "fulfillments/update", "orders/cancelled", "app/uninstalled"),
}


def live_every_kind_of_life(world: World) -> None:
    """The time that `pass_time` moves in our rows stays in the platforms' answers, so it passes once, and early."""
    access_is_lost_and_given_again(world)
    cancelled_in_hold, edited, redirected = world.placed(), world.placed(), world.placed()
    shipped, cancelled, by_merchant, wavering = (world.placed() for _ in range(4))
    in_parts = world.placed(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    world.tiktok.cancel(cancelled_in_hold.tiktok_id)
    nine = [{"variantId": world.store.variant("MUG-WHT").id, "quantity": 9}]
    world.store.edit_draft(edited.draft_gid, lineItems=nine)
    world.settle()
    world.release_hold()
    world.tiktok.change_address(redirected.tiktok_id)
    world.store.fulfill(gid_of(shipped), company="UPS", numbers=[UPS])
    world.tiktok.cancel(cancelled.tiktok_id, by="SELLER")
    world.store.cancel_order(gid_of(by_merchant))
    world.tiktok.buyer_requests_cancel(wavering.tiktok_id)
    first = world.store.orders[gid_of(in_parts)].lines[0]
    part = world.store.fulfill(gid_of(in_parts), {first.id: 1}, "UPS", [world.tiktok.new_number("UPS")])
    world.settle()
    world.tiktok.decide_cancel(wavering.tiktok_id, approve=False)
    world.store.update_tracking(part.id, "UPS", [world.tiktok.new_number("UPS")])
    world.store.fulfill(gid_of(in_parts), company="UPS", numbers=[world.tiktok.new_number("UPS")])
    world.settle()


def access_is_lost_and_given_again(world: World) -> None:
    world.tiktok.deauthorize()
    world.settle()
    time.sleep(1.1)  # TikTok counts whole seconds
    reconnect(world)
    world.store.uninstall()
    world.settle()
    reinstall(world)
    world.settle()


def gid_of(order: Order) -> str:
    return Order.objects.get(pk=order.pk).order_gid


def where_everything_stands(world: World) -> dict[str, Any]:
    world.shop.refresh_from_db()
    return {
        "orders": list(Order.objects.order_by("pk").values_list("pk", "state", "reason", "flags")),
        "parcels": list(
            Parcel.objects.order_by("pk").values_list("number", "state", "reason", "corrections")
        ),
        "let in": (Connection.objects.get().paused_reason, bool(world.shop.access_token)),
    }


def test_every_outside_write_has_its_row_in_the_timeline(world):
    order = world.finalized()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    wrote = OrderLog.objects.filter(order=order, what="wrote").values_list("call", flat=True)
    assert list(wrote) == [
        "draftOrderCreate",
        "draftOrderUpdate",
        "draftOrderComplete",
        "orderUpdate",
        "external_orders",
        "ship",
    ]


# ---- trouble ----


def test_a_bug_is_logged_backed_off_and_parked_after_eight_tries(world, caplog):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(due_at=timezone.now(), attempts=work.MAX_BUGS)
    [row] = Order.claim(world.shop.pk, 1)
    work.run(row, lambda _: 1 / 0)
    assert world.order(order.tiktok_id).reason == "unexpected"
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()


def test_a_row_that_fails_for_a_day_is_parked_with_its_reason(world):
    order = world.placed()
    Order.objects.filter(pk=order.pk).update(
        due_at=timezone.now(), failing_since=timezone.now() - timedelta(hours=25)
    )
    world.tiktok.faults.add("get_order", "500")
    jobs.drain(world.shop.pk)
    order = world.order(order.tiktok_id)
    assert (order.reason, order.due_at) == ("unavailable_too_long", None)


def test_one_poisoned_order_does_not_hold_up_the_others(world):
    poisoned = world.placed(lines=[("TT-ONLY-7", 1)])
    healthy = [world.placed() for _ in range(3)]
    assert {order.state for order in healthy} == {State.ON_HOLD}
    poisoned = world.order(poisoned.tiktok_id)
    assert (poisoned.reason, poisoned.due_at) == ("sku_unmapped", None)


def test_a_revoked_grant_pauses_the_connection_and_a_reconnect_catches_up_without_a_gap(world):
    order = world.placed()
    world.tiktok.deauthorize()
    world.settle()
    connection = Connection.objects.get()
    assert connection.paused_reason == "tiktok_access_lost"
    world.tiktok.place_order()
    world.release_hold()
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    time.sleep(1.1)
    reconnect(world)
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED
    assert Order.objects.count() == 2


def test_a_shop_that_uninstalls_stops_at_once_and_goes_on_after_a_reinstall(world):
    order = world.placed()
    world.store.uninstall()
    world.settle()
    world.shop.refresh_from_db()
    assert (world.shop.access_token, world.shop.refresh_token) == ("", "")
    world.release_hold()
    assert world.order(order.tiktok_id).last_error in (RESTS_IN_PAUSE, "")
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    reinstall(world)
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_shop_redact_leaves_no_row_of_the_shop(world):
    order = world.finalized()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.store.uninstall()
    world.settle()
    world.store.redact()
    world.settle()
    rows = [Shop, Seller, Connection, Order, Parcel, OrderLog]
    assert {model.__name__: model.objects.count() for model in rows} == dict.fromkeys(
        [model.__name__ for model in rows], 0
    )
    assert set(InboxEvent.objects.values_list("outcome", flat=True)) == {"redacted"}


TWO_DAYS = 48 * 3600


def test_a_shop_is_redacted_although_no_word_of_its_uninstall_ever_came(world):
    world.finalized()
    uninstall_unheard(world)
    world.after(TWO_DAYS + 1)
    if Shop.objects.exists():  # a pull was just renewing the token: whoever is to redact asks again
        world.after(60)
    assert not Shop.objects.exists()
    assert InboxEvent.objects.get(topic="shop/redact").outcome == "redacted"


def test_a_shop_whose_store_is_closed_for_good_is_redacted(world):
    world.after(TWO_DAYS + 60)
    Connection.objects.update(due_at=None)
    world.shopify.faults.add("*", "404")
    world.store.redact()
    world.settle()
    assert not Shop.objects.exists()


def test_a_shop_that_lets_us_in_is_never_redacted(world):
    """Whoever has a body that Shopify signed can ring under another topic: headers are not signed."""
    world.after(TWO_DAYS + 60)
    order = world.placed()
    world.store.redact()
    world.settle()
    assert InboxEvent.objects.get(topic="shop/redact").outcome == "the shop came back"
    world.release_hold()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_a_shop_that_came_back_after_an_uninstall_that_we_never_heard_of_stays(world):
    order = world.placed()
    uninstall_unheard(world)
    world.after(3600)
    Shop.objects.update(paused_reason="the merchant must open the app")  # as the first refused call leaves it
    reinstall(world)
    world.pass_time(TWO_DAYS - 3600 + 1)
    world.store.record.grants.clear()  # and went again: another shop/redact will tell
    world.store.redact()
    world.settle()
    assert InboxEvent.objects.get(topic="shop/redact").outcome == "the shop came back"
    assert Order.objects.get().pk == order.pk


def test_a_frozen_shop_is_asked_again_until_it_says_whether_we_are_installed(world):
    world.after(TWO_DAYS + 60)
    world.shopify.faults.add("*", "423")
    world.store.redact()
    world.settle()
    assert Shop.objects.exists() and InboxEvent.objects.get(topic="shop/redact").due_at
    world.after(3601)
    assert InboxEvent.objects.get(topic="shop/redact").outcome == "the shop came back"


def test_a_shop_that_says_nothing_for_weeks_is_redacted_in_the_time_that_shopify_gives(world):
    world.after(TWO_DAYS + 60)
    Connection.objects.update(due_at=None)
    world.shopify.faults.add("currentAppInstallation", "423", times=9)
    world.store.redact()
    world.settle()
    world.pass_time(26 * 24 * 3600)
    Connection.objects.update(due_at=None)
    world.settle()
    assert not Shop.objects.exists()


def uninstall_unheard(world: World) -> None:
    world.shopify.webhooks.drop(1)
    world.store.uninstall()
    world.settle()
    assert not InboxEvent.objects.filter(topic="app/uninstalled").exists()
    assert Shop.objects.get().uninstalled_at is None


def test_the_clock_finds_what_valkey_forgot(world):
    import django_rq

    tiktok_id = world.tiktok.place_order()
    world.tiktok.webhooks.settle(5)
    django_rq.get_connection("default").flushdb()
    assert clock.sweep() == 1
    assert django_rq.get_queue("default").count == 1
    django_rq.get_queue("default").jobs[0].perform()
    world.settle()
    assert world.order(tiktok_id).state == State.ON_HOLD


def reconnect(world: World) -> None:
    from connector.transport import session
    from tiktok import client, oauth
    from tiktok.models import Seller

    code = world.tiktok.consent(state="-").split("code=")[1].split("&")[0]
    grant = oauth.exchange("US", code, session())
    Seller.connect("US", grant, client.get_shops("US", grant.access_token, session()))
    Connection.objects.get().begin_anew()


def reinstall(world: World) -> None:
    from connector.transport import session

    Shop.install(world.shop.domain, world.shopify.id_token(), session())
    Connection.objects.get().begin_anew()


# ---- every state that can be woken has a step ----


@pytest.mark.parametrize("state", list(State))
def test_every_state_of_an_order_has_a_step_that_hands_the_row_back(world, state):
    order = world.finalized() if state in steps.FOLLOWED else world.placed()
    Order.objects.filter(pk=order.pk).update(state=state, due_at=timezone.now())
    [row] = Order.claim(world.shop.pk, 1)
    work.run(row, steps.advance_order)
    row.refresh_from_db()
    assert (row.leased_until, row.last_error, row.attempts) == (None, "", 0)


@pytest.mark.parametrize("state", list(ParcelState))
def test_every_state_of_a_parcel_has_a_step_that_hands_the_row_back(world, state):
    order = world.finalized()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    Parcel.objects.update(state=state, due_at=timezone.now())
    [row] = Parcel.claim(world.shop.pk, 1)
    work.run(row, parcels.advance_parcel)
    row.refresh_from_db()
    assert (row.leased_until, row.last_error, row.attempts) == (None, "", 0)
