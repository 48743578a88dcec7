"""What happens to an order, situation by situation (docs/decisions.md names the test of each row)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from world import World

from connector import choices, reasons, status
from connector.models import Connection, Order, OrderLog, SkuLink
from connector.states import OrderState as State
from connector.states import ParcelState

USPS = "9400111899223100001984"
UPS = "1Z410E7W0392751591"


def draft_of(world: World, order: Order):
    return world.store.drafts[order.draft_gid]


def a_while_ago(world: World, *, seconds: float, **facts) -> Order:
    """An order placed that long ago, by a shop that was connected even longer."""
    Connection.objects.update(started_at=timezone.now() - timedelta(seconds=seconds + 3600))
    return world.placed(age=seconds, **facts)


def shopify_order(world: World, order: Order):
    return world.store.orders[order.order_gid]


# ---- on hold and release ----


def test_a_held_order_becomes_a_tagged_draft_without_address_payment_or_customer(world):
    order = world.placed(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    draft = draft_of(world, order)
    assert order.state == State.ON_HOLD
    assert {"TikTok Shop", "tiktok-on-hold", f"tts-{order.tiktok_id}"} <= set(draft.tags)
    assert (draft.shipping_address, draft.email, draft.customer_id, draft.phone) == (None, None, None, None)
    assert draft.reserve_inventory_until > timezone.now()
    assert sum(draft.reserved.values()) == 3


def test_a_released_order_is_finalized_with_a_placeholder_payment_and_its_address(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    placed = shopify_order(world, order)
    assert order.state == State.FINALIZED
    assert placed.financial_status == "PAID"
    assert placed.payment_gateway_names == ["manual"]
    assert placed.shipping_address["zip"]
    assert "tiktok-on-hold" not in placed.tags
    assert f"tts-{order.tiktok_id}" in placed.tags
    assert placed.total_price_set == order.expected_total
    assert world.shopify.mails == []


def test_a_merchants_own_tags_and_note_survive_the_release(world):
    order = world.placed()
    world.store.add_tags(order.draft_gid, "VIP")
    draft = draft_of(world, order)
    world.store.edit_draft(order.draft_gid, note=f"{draft.note}\nPack with care")
    world.settle()
    world.release_hold()
    placed = shopify_order(world, world.order(order.tiktok_id))
    assert "VIP" in placed.tags
    assert "Pack with care" in placed.note
    assert "on hold" not in placed.note.lower()


def test_an_order_that_is_still_held_after_an_hour_is_not_finalized_on_a_timer(world):
    order = world.placed(hold_seconds=9000)
    world.after(3700)
    world.after(600)
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    world.after(5000)
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_the_reservation_of_a_long_hold_is_extended_by_a_day_before_it_ends(world):
    order = a_while_ago(world, seconds=10_000, hold_seconds=72_000)
    Order.objects.update(reserved_until=timezone.now() + timedelta(minutes=10))
    for _ in range(2):
        choices.look_again(order, by="7")
        world.settle()
    assert draft_of(world, order).reserve_inventory_until - timezone.now() > timedelta(hours=23)
    assert [entry["what"] for entry in world.shopify.ledger].count("draft_updated") == 1


def test_an_order_that_was_never_held_is_finalized_without_waiting(world):
    order = world.placed(hold=False)
    assert order.state == State.FINALIZED


def test_a_shop_may_add_its_own_delay_where_tiktok_does_not_hold(world):
    world.set_policy(delay_seconds=1800)
    order = a_while_ago(world, seconds=1500, hold=False)
    assert order.state == State.ON_HOLD
    assert 0 < (order.due_at - timezone.now()).total_seconds() <= 300
    world.set_policy(delay_seconds=1400)  # as if the rest of it had gone by
    world.after(301)
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_an_unpaid_order_waits_outside_shopify(world):
    order = world.placed(paid=False)
    assert (order.state, order.draft_gid) == (State.RECEIVED, "")
    world.tiktok.pay(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_pre_order_stays_held_until_its_release_date(world):
    order = world.placed(release_in=3 * 86400)
    assert order.state == State.ON_HOLD
    assert "tiktok-pre-order" in draft_of(world, order).tags
    world.after(2 * 86400)
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    world.after(86400 + 60)
    assert world.order(order.tiktok_id).state == State.FINALIZED


# ---- connect: older orders, other connectors ----


def test_older_open_orders_are_offered_and_imported_only_by_choice(world):
    order = world.placed(age=7200, hold_seconds=9000)
    assert (order.state, order.reason) == (State.OFFERED, "older_than_connection")
    choices.import_anyway(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_an_import_by_choice_adopts_the_draft_that_is_there_already(world):
    order = world.placed(age=7200, hold_seconds=9000)
    other = world.store.create_draft(
        lineItems=[{"variantId": world.store.variant("TEE-BLK-M").id, "quantity": 1}],
        tags=[f"tts-{order.tiktok_id}"],
        taxExempt=True,
        acceptAutomaticDiscounts=False,
    )
    choices.import_anyway(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).draft_gid == other.id
    assert len(world.store.drafts) == 1


def test_another_connectors_orders_stop_the_import_until_a_person_decides(worlds):
    world = worlds(other_connector="TikTokOrderID:577")
    assert world.connection.other_connector["tag"] == "TikTokOrderID:"
    order = world.placed()
    assert (order.state, order.reason) == (State.RECEIVED, "other_connector")
    Connection.objects.update(other_connector_accepted_at=timezone.now())
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD


# ---- shipped outside, cancel requests, cancellations ----


def test_what_is_kept_out_of_shopify_asks_nobody(world):
    kept_out = world.placed(age=7200, hold_seconds=9000)
    world.placed(lines=[("NO-SUCH-SKU", 1)])
    assert (kept_out.state, kept_out.reason) == (State.OFFERED, "older_than_connection")
    assert status.status()["orders_asking"] == 1


def test_an_order_first_seen_shipped_is_listed_and_imported_only_by_choice(world):
    world.tiktok.webhooks.pause()
    tiktok_id = world.tiktok.place_order(hold=False)
    world.tiktok.ship_outside(tiktok_id)
    world.tiktok.webhooks.resume()
    world.settle()
    order = world.order(tiktok_id)
    assert (order.state, order.reason) == (State.OUTSIDE, "shipped_outside")
    assert world.store.drafts == {}
    choices.import_anyway(order, by="7")
    world.settle()
    assert world.order(tiktok_id).order_gid


@pytest.mark.parametrize("on_lines", [True, False])
def test_an_order_shipped_outside_after_finalizing_is_flagged_do_not_ship_again(world, on_lines):
    world.tiktok.settings.numbers_on_lines = on_lines
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    world.tiktok.ship_outside(order.tiktok_id, provider="USPS", number=USPS)
    world.settle()
    order = world.order(order.tiktok_id)
    assert order.reason == "shipped_elsewhere"
    assert order.detail["parcels"] == [{"carrier": "USPS", "number": USPS}]
    assert "tiktok-shipped-elsewhere" in shopify_order(world, order).tags
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    assert world.tiktok_effects("ship") == []
    parcel = world.parcel(order)
    assert (parcel.reason, parcel.detail) == ("shipped_elsewhere", order.detail)


def test_a_pending_cancel_request_is_never_finalized(world):
    world.tiktok.webhooks.drop(1)
    tiktok_id = world.tiktok.place_order(hold=False)
    world.tiktok.buyer_requests_cancel(tiktok_id)
    world.settle()
    order = world.order(tiktok_id)
    assert (order.state, order.reason) == (State.ON_HOLD, "cancel_requested")
    world.tiktok.decide_cancel(order.tiktok_id, approve=False)
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_a_cancel_request_after_finalizing_is_flagged_and_its_parcel_is_parked(world):
    order = world.finalized()
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    order = world.order(order.tiktok_id)
    assert order.reason == "cancel_requested"
    assert "tiktok-cancel-requested" in shopify_order(world, order).tags
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    assert world.parcel(order).reason == "cancel_requested_shipped"
    assert world.tiktok_effects("ship") == []
    choices.send_anyway(world.parcel(order), by="7")
    world.settle()
    assert world.parcel(order).state == ParcelState.ACCEPTED


def test_a_withdrawn_cancel_request_takes_its_flag_away_and_sends_the_parcel(world):
    order = world.finalized()
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.tiktok.decide_cancel(order.tiktok_id, approve=False, by="BUYER")
    world.settle()
    order = world.order(order.tiktok_id)
    assert "tiktok-cancel-requested" not in shopify_order(world, order).tags
    assert world.parcel(order).state == ParcelState.ACCEPTED
    assert order.state == State.SHIPPED


def test_an_order_cancelled_in_its_hold_loses_its_draft(world):
    order = world.placed()
    world.tiktok.cancel(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).state == State.CANCELLED
    assert world.store.drafts == {}
    assert world.store.orders == {}


def test_an_order_cancelled_before_we_knew_it_never_gets_a_draft(world):
    world.tiktok.webhooks.pause()
    tiktok_id = world.tiktok.place_order()
    world.tiktok.cancel(tiktok_id)
    world.tiktok.webhooks.resume()
    world.settle()
    assert world.order(tiktok_id).state == State.CANCELLED
    assert world.shopify_effects("draft_created") == []


def test_an_order_cancelled_in_its_hold_whose_draft_a_merchant_completed_is_cancelled_in_shopify(world):
    order = world.placed()
    world.shopify.webhooks.drop(5)
    world.pass_time(2)
    world.store.complete_draft(order.draft_gid)
    world.tiktok.cancel(order.tiktok_id)
    world.settle()
    order = world.order(order.tiktok_id)
    assert order.state == State.CANCELLED
    assert shopify_order(world, order).cancelled_at


def test_an_order_cancelled_after_finalizing_is_cancelled_restocked_and_nobody_is_mailed(world):
    stock = world.store.variant("TEE-BLK-M").available
    order = world.finalized()
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    order = world.order(order.tiktok_id)
    assert order.state == State.CANCELLED
    assert shopify_order(world, order).cancelled_at
    assert world.store.variant("TEE-BLK-M").available == stock
    assert world.shopify.mails == []


def test_an_order_that_shopify_is_too_old_to_show_is_a_persons_to_cancel(world):
    order = world.finalized()
    two_months = timedelta(days=61)
    shopify_order(world, order).created_at -= two_months
    Order.objects.update(finalized_at=timezone.now() - two_months)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "cancelled_out_of_reach")
    choices.dismiss(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.CANCELLED


def test_an_order_cancelled_after_it_was_fulfilled_needs_attention_and_hides_nothing(world):
    order = world.finalized()
    world.tiktok.webhooks.drop(5)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "cancelled_after_fulfilled")
    assert shopify_order(world, order).cancelled_at is None
    assert world.parcel(order).reason == "order_cancelled"
    assert world.tiktok_effects("ship") == []


@pytest.mark.parametrize(
    "shown",
    [
        *("OPEN", "PENDING_FULFILLMENT", "REQUEST_DECLINED", "IN_PROGRESS"),
        *("RESTOCKED", "ON_HOLD", "SCHEDULED", "FULFILLMENT_NOT_REQUIRED"),
    ],
)
def test_what_a_warehouse_was_asked_for_and_has_not_shipped_is_cancelled_like_any_other(world, shown):
    order = world.finalized()
    world.store.show_fulfillment(order.order_gid, shown)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    assert world.order(order.tiktok_id).state == State.CANCELLED
    assert shopify_order(world, order).cancelled_at


def test_what_shopify_does_not_cancel_while_a_warehouse_has_it_asks_with_its_words(world):
    order = world.finalized()
    world.store.show_fulfillment(order.order_gid, "IN_PROGRESS")
    world.shopify.settings.change(warehouses_let_go=False)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    assert "tiktok-cancelled" in shopify_order(world, order).tags
    for _ in range(2):
        world.after(65)
    order = world.order(order.tiktok_id)
    assert order.reason == "cancellation_failed"
    assert "outstanding fulfillments" in order.detail["words"]


def cancelled_at_tiktok(world: World, **of_shopify) -> Order:
    """A finalized order that TikTok cancels, while Shopify does its part of it in this way."""
    order = world.finalized()
    world.shopify.settings.change(**of_shopify)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    return world.order(order.tiktok_id)


def times_asked(world: World) -> int:
    """How often Shopify was told to cancel, and took it."""
    return len(world.store.record.jobs)


def test_a_cancellation_that_takes_its_time_is_asked_for_once_and_looked_at_ever_more_seldom(world):
    order = cancelled_at_tiktok(world, cancel_after=40)
    for seconds in (2, 2, 4, 8):
        assert (order.state, order.reason) == (State.FINALIZED, "")
        world.after(seconds)
        order = world.order(order.tiktok_id)
    assert 5 < (order.due_at - timezone.now()).total_seconds() < 30
    assert "tiktok-cancelled" in shopify_order(world, order).tags
    world.shopify.webhooks.drop(5)
    for seconds in (25, 30):
        world.after(seconds)
    assert (world.order(order.tiktok_id).state, times_asked(world)) == (State.CANCELLED, 1)


def test_a_cancellation_that_failed_behind_its_job_is_asked_for_once_more_after_a_minute(world):
    order = cancelled_at_tiktok(world, failing_cancellations=1)
    world.after(50)
    assert (world.order(order.tiktok_id).reason, times_asked(world)) == ("", 1)
    world.after(20)
    assert (world.order(order.tiktok_id).state, times_asked(world)) == (State.CANCELLED, 2)


def test_a_cancellation_that_fails_twice_asks_a_person_and_once_more_when_the_person_says_so(world):
    order = cancelled_at_tiktok(world, failing_cancellations=2)
    for _ in range(4):
        world.after(65)
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "cancellation_failed")
    assert "tiktok-cancelled" in shopify_order(world, order).tags
    assert (order.due_at, times_asked(world)) == (None, 2)
    choices.look_again(order, by="7")
    world.settle()
    assert (world.order(order.tiktok_id).state, times_asked(world)) == (State.CANCELLED, 3)


def test_an_order_whose_location_was_closed_is_cancelled_without_putting_its_goods_back(world):
    stock = world.store.variant("TEE-BLK-M").available
    order = cancelled_at_tiktok(world, deactivated_location=True)
    assert (order.state, times_asked(world)) == (State.CANCELLED, 1)
    assert world.store.variant("TEE-BLK-M").available == stock - 1
    assert order.log.filter(call="orderCancel without restock").exists()


def test_a_cancellation_under_way_is_known_by_the_order_and_not_by_shopifys_words(world):
    stock = world.store.variant("TEE-BLK-M").available
    world.shopify.faults.add("orderCancel", "lost_reply")
    order = cancelled_at_tiktok(world, cancel_after=30)
    world.after(5)
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "")
    assert "tiktok-cancelled" in shopify_order(world, order).tags
    world.after(60)
    assert (world.order(order.tiktok_id).state, times_asked(world)) == (State.CANCELLED, 1)
    assert world.store.variant("TEE-BLK-M").available == stock


def test_a_cancellation_that_shopify_refuses_again_and_again_asks_with_its_words(world):
    world.shopify.faults.add("orderCancel", "lost_reply")
    order = cancelled_at_tiktok(world, cancel_after=9999)
    for _ in range(3):
        world.after(65)
    order = world.order(order.tiktok_id)
    assert order.reason == "cancellation_failed"
    assert "pending" in order.detail["words"]


def test_what_is_fulfilled_while_its_cancellation_is_under_way_is_told(world):
    order = cancelled_at_tiktok(world, cancel_after=60)
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.after(65)
    assert world.order(order.tiktok_id).reason == "cancelled_after_fulfilled"
    assert "tiktok-cancelled" in shopify_order(world, order).tags


def test_a_cancel_nobody_told_us_of_is_found_half_a_minute_after_finalizing(world):
    order = world.placed()
    world.release_hold()
    world.tiktok.webhooks.drop(5)
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.after(31)
    assert world.order(order.tiktok_id).state == State.CANCELLED


def test_a_cancellation_is_seen_while_tiktok_takes_no_reference(world):
    world.tiktok.faults.add("external_orders", "500", times=99)
    order = world.finalized()
    assert order.referenced_at is None
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.referenced_at) == (State.CANCELLED, None)
    assert shopify_order(world, order).cancelled_at


def test_an_order_that_was_cancelled_before_it_was_referenced_gets_no_reference_when_an_event_comes_again(
    world,
):
    world.tiktok.faults.add("external_orders", "500", times=99)
    order = world.finalized()
    assert order.referenced_at is None
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.reason, order.referenced_at) == ("cancelled_after_fulfilled", None)
    world.tiktok.faults.clear()
    order.wake()
    world.settle()
    assert world.order(order.tiktok_id).referenced_at is None
    assert not world.tiktok_effects("external_order")


def test_a_cancel_request_and_a_foreign_number_are_flagged_while_tiktok_takes_no_reference(world):
    world.tiktok.faults.add("external_orders", "500", times=99)
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    world.tiktok.ship_outside(order.tiktok_id, provider="USPS", number=USPS, lines=1)
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    order = world.order(order.tiktok_id)
    assert set(order.flags) == {"tiktok-cancel-requested", "tiktok-shipped-elsewhere"}
    world.tiktok.faults.clear()
    world.after(120)
    order = world.order(order.tiktok_id)
    assert order.referenced_at and order.reason == "cancel_requested"


def test_a_reference_that_shopify_refuses_is_noted_and_holds_nothing_up(world):
    world.store.record.definitions.clear()
    order = world.finalized()
    assert (order.state, order.reason) == (State.FINALIZED, "")
    assert order.referenced_at and world.tiktok_effects("external_order")
    assert "definition" in order.log.get(call="orderUpdate").detail["refused"]
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    assert world.order(order.tiktok_id).state == State.SHIPPED


def test_a_merchant_can_be_asked_before_a_cancellation_reaches_shopify(world):
    world.set_policy(cancel_in_shopify=False)
    order = world.finalized()
    world.tiktok.cancel(order.tiktok_id, by="SELLER")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "cancelled_in_tiktok")
    choices.dismiss(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.CANCELLED


# ---- changes ----


def test_lines_cancelled_before_the_release_are_rebuilt_in_the_draft(world):
    order = world.placed(lines=[("TEE-BLK-M", 3), ("MUG-WHT", 1)])
    world.tiktok.cancel_lines(order.tiktok_id, 2)
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert order.state == State.FINALIZED
    assert shopify_order(world, order).total_price_set == order.expected_total
    assert sum(line.quantity for line in shopify_order(world, order).lines) == 2


def test_a_quantity_changed_before_the_release_is_rebuilt_in_the_draft(world):
    order = world.placed(lines=[("TEE-BLK-M", 1)])
    world.tiktok.change_quantity(order.tiktok_id, "TEE-BLK-M", 4)
    world.release_hold()
    placed = shopify_order(world, world.order(order.tiktok_id))
    assert [line.quantity for line in placed.lines] == [4]


def test_lines_cancelled_after_finalizing_are_flagged_with_the_exact_difference(world):
    order = world.finalized(lines=[("TEE-BLK-M", 3)])
    world.tiktok.cancel_lines(order.tiktok_id, 1)
    world.settle()
    order = world.order(order.tiktok_id)
    assert order.reason == "lines_changed_after_finalize"
    change = next(c for c in order.detail["changes"] if c["what"] == "cancelled")
    assert (change["before"], change["after"]) == ("3", "2")
    assert order.lines.filter(cancelled=True).count() == 1


def test_an_address_changed_after_finalizing_reaches_the_unfulfilled_shopify_order(world):
    order = world.finalized()
    world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street")
    world.settle()
    assert shopify_order(world, order).shipping_address["address1"] == "77 New Street"
    assert world.order(order.tiktok_id).reason == ""


def test_an_address_changed_after_shipping_is_flagged(world):
    order = world.finalized()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street")
    world.settle()
    assert world.order(order.tiktok_id).reason == "address_changed_after_shipped"


# ---- TikTok ships it ----


@pytest.mark.parametrize("facts", [{"fulfilled_by_tiktok": True}, {"shipping_type": "TIKTOK"}])
def test_what_tiktok_ships_never_gets_a_draft(world, facts):
    order = world.placed(**facts)
    assert (order.state, order.reason) == (State.SKIPPED, "tiktok_ships")
    assert world.store.drafts == {}


def test_a_starred_address_at_release_is_never_finalized_and_looked_at_again_when_it_changes(world):
    order = world.placed()
    world.tiktok.mask(order.tiktok_id)
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.ON_HOLD, "address_masked")
    assert world.store.orders == {}
    world.tiktok.mask(order.tiktok_id, on=False)
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_an_order_of_the_sellers_that_is_first_seen_with_stars_is_looked_at_again_before_it_is_kept_out(
    world,
):
    first, second = (world.tiktok.place_order(hold=False) for _ in range(2))
    for tiktok_id in (first, second):
        world.tiktok.mask(tiktok_id)
    world.settle()
    assert {(order.state, order.reason) for order in Order.objects.all()} == {(State.RECEIVED, "")}
    world.tiktok.mask(first, on=False)
    for seconds in (5, 10, 45, 241):
        world.after(seconds)
    assert world.order(first).state == State.FINALIZED
    assert (world.order(second).state, world.order(second).reason) == (State.SKIPPED, "address_masked")


def test_a_star_in_the_buyers_own_name_stops_nothing(world):
    order = world.finalized(buyer={"first_name": "St*r", "last_name": "Light"})
    assert order.state == State.FINALIZED


def test_an_order_that_tiktok_takes_over_in_its_hold_waits_and_goes_on_when_it_comes_back(world):
    order = world.placed()
    world.tiktok.switch_to_tiktok_shipping(order.tiktok_id)
    world.release_hold()
    assert world.order(order.tiktok_id).reason == "tiktok_ships"
    world.tiktok.switch_to_seller_shipping(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED


# ---- kinds ----


@pytest.mark.parametrize(
    ("facts", "tag"),
    [
        ({"sample": True}, "tiktok-sample"),
        ({"lines": [{"sku": "TEE-BLK-M"}, {"sku": "MUG-WHT", "is_gift": True}]}, "tiktok-gift"),
        ({"replacement_of": "577000000000000001"}, "tiktok-replacement"),
        ({"exchange_of": "577000000000000001"}, "tiktok-exchange"),
        ({"subscription": True}, "tiktok-subscription"),
        ({"order_type": "MADE_TO_ORDER", "handling_days": 5}, "tiktok-made-to-order"),
        ({"order_type": "BACK_ORDER", "handling_days": 5}, "tiktok-back-order"),
        ({"combine_group": "770000000000000001"}, "tiktok-combined"),
    ],
)
def test_each_kind_of_order_is_recognised_tagged_and_imported(world, facts, tag):
    order = world.finalized(**facts)
    assert order.state == State.FINALIZED
    assert tag in shopify_order(world, order).tags
    assert shopify_order(world, order).total_price_set == order.expected_total


def test_a_rule_keeps_a_kind_out(world):
    world.set_policy(skip_kinds=["sample"])
    order = world.placed(sample=True)
    assert (order.state, order.reason) == (State.SKIPPED, "kind_skipped")
    assert world.store.drafts == {}


def test_a_bundle_without_a_mapping_stops_with_the_reason(world):
    order = world.placed(lines=[{"sku": "TEE-BLK-M", "bundle": [("MUG-WHT", 2), ("CAP-NVY", 1)]}])
    assert (order.state, order.reason) == (State.RECEIVED, "bundle_unmapped")


# ---- SKUs ----


def test_an_unknown_sku_waits_for_a_mapping_and_a_new_mapping_wakes_it(world):
    order = world.placed(lines=[("TT-ONLY-7", 1)])
    assert (order.state, order.reason) == (State.RECEIVED, "sku_unmapped")
    assert order.detail["lines"][0]["sku"] == "TT-ONLY-7"
    sku_id = order.detail["lines"][0]["sku_id"]
    choices.link_sku(world.connection, sku_id, world.store.variant("MUG-WHT").id, "White mug", by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_shop_may_take_unknown_skus_as_custom_lines(world):
    world.set_policy(unmatched="custom_line")
    order = world.finalized(lines=[("TT-ONLY-7", 2), ("MUG-WHT", 1)])
    placed = shopify_order(world, order)
    assert order.state == State.FINALIZED
    assert placed.total_price_set == order.expected_total


def test_a_sku_that_two_variants_carry_is_a_conflict(world):
    order = world.placed(lines=[{"sku": "TEE-BLK-M", "seller_sku": "DUP-1"}])
    assert (order.state, order.reason) == (State.RECEIVED, "sku_conflict")


def test_a_sku_that_differs_by_case_is_another_sku(world):
    order = world.placed(lines=[("TEE-BLK-M", 1)])
    link = SkuLink.objects.linked().get(connection=order.connection)
    assert link.variant_gid == world.store.variant("TEE-BLK-M").id


def test_a_link_whose_variant_is_gone_is_searched_anew(world):
    world.placed(lines=[("MUG-WHT", 1)])
    SkuLink.objects.linked().update(variant_gid="gid://shopify/ProductVariant/1")
    order = world.placed(lines=[("MUG-WHT", 1)])
    assert order.state == State.ON_HOLD
    assert SkuLink.objects.linked().get().variant_gid == world.store.variant("MUG-WHT").id


def test_a_release_looks_up_no_variant_while_the_lines_stand(world):
    first, second = world.placed(lines=[("MUG-WHT", 1)]), world.placed(lines=[("MUG-WHT", 2)])
    for lookup in ("nodes", "productVariants"):
        world.shopify.faults.add(lookup, "500", times=50)
    world.release_hold()
    assert {world.order(one.tiktok_id).state for one in (first, second)} == {State.FINALIZED}


# ---- money ----


def test_by_default_the_order_shows_what_the_seller_earns(world):
    order = world.finalized(
        lines=[("TEE-BLK-M", 2, "18.50", "1.50", "2.00")],
        shipping_fee="5.99",
        shipping_platform_discount="2.00",
        tax="3.10",
    )
    assert order.expected_total == Decimal("17.00") * 2 + Decimal("5.99")
    assert shopify_order(world, order).total_price_set == order.expected_total


def test_a_sample_costs_nothing_although_tiktok_pays_its_price_by_a_discount(world):
    discounted = {"sku": "TEE-BLK-M", "price": "20.00", "platform_discount": "20.00"}
    order = world.finalized(
        sample=True, lines=[discounted], shipping_fee="5.00", shipping_platform_discount="5.00"
    )
    assert (order.state, order.expected_total) == (State.FINALIZED, 0)
    assert shopify_order(world, order).total_price_set == 0
    assert [unit.price for unit in order.lines.all()] == [0]


def test_a_shop_may_book_what_the_buyer_paid(world):
    world.set_policy(money_mode="buyer_paid")
    order = world.finalized(
        lines=[("TEE-BLK-M", 2, "18.50", "1.50", "2.00")],
        shipping_fee="5.99",
        shipping_platform_discount="2.00",
    )
    assert order.expected_total == Decimal("15.00") * 2 + Decimal("3.99")
    assert shopify_order(world, order).total_price_set == order.expected_total


def test_tax_may_have_its_own_line(world):
    world.set_policy(tax_line=True)
    order = world.finalized(lines=[("TEE-BLK-M", 1, "18.50")], shipping_fee="0", tax="1.53")
    assert order.expected_total == Decimal("20.03")
    assert shopify_order(world, order).total_price_set == Decimal("20.03")


def test_amounts_that_do_not_add_up_stop_and_show_both_sums(world):
    order = world.placed(lines=[("TEE-BLK-M", 1, "18.50")], payment={"sub_total": "17.00"})
    assert (order.state, order.reason) == (State.RECEIVED, "amounts_mismatch")
    assert (order.detail["stated"], order.detail["added_up"]) == ("17.00", "18.50")


def test_an_unexplained_rest_of_the_total_is_shown_and_stops_nothing(world):
    order = world.finalized(payment={"total_amount": "99.99"})
    assert order.state == State.FINALIZED
    assert Decimal(order.money["unexplained"]) != 0


def test_an_order_in_a_currency_that_the_shop_has_not_enabled_stops(world):
    order = world.placed(currency="EUR")
    assert (order.state, order.reason) == (State.RECEIVED, "currency_not_enabled")


def test_sixty_lines_and_forty_units_of_one_sku_go_through(world):
    lines = [("TEE-BLK-M", 40)] + [
        {"sku": "MUG-WHT", "quantity": 1, "price": f"{9 + n / 100:.2f}"} for n in range(20)
    ]
    order = world.finalized(lines=lines)
    placed = shopify_order(world, order)
    assert order.state == State.FINALIZED
    assert placed.total_price_set == order.expected_total
    assert order.lines.exclude(shopify_line_gid="").count() == 60


def test_an_order_of_more_units_than_tiktok_takes_references_for_is_referenced_all_the_same(world):
    order = world.finalized(lines=[("TEE-BLK-M", 130)])
    (told,) = world.tiktok_effects("external_order")
    assert told["external_id"] == order.order_gid.rpartition("/")[2]
    assert len(told["line_items"]) == 100
    assert not order.log.filter(call="external_orders", detail__has_key="refused").exists()


# ---- what a merchant does ----


def test_a_draft_that_a_merchant_edited_is_noticed_and_not_finalized(world):
    order = world.placed()
    variant = world.store.variant("MUG-WHT").id
    world.pass_time(2)
    world.store.edit_draft(order.draft_gid, lineItems=[{"variantId": variant, "quantity": 1}])
    world.settle()
    assert world.order(order.tiktok_id).reason == "draft_edited"
    world.release_hold()
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    assert world.store.orders == {}


@pytest.mark.parametrize(
    ("edit", "reason", "words"),
    [
        ({"taxExempt": False}, "draft_taxed", "Shopify has 1.87 USD of tax in the draft order."),
        (
            {"presentmentCurrencyCode": "CAD"},
            "draft_currency",
            "Expected 24.49 USD, Shopify has 24.49 CAD.",
        ),
    ],
)
def test_a_draft_of_the_right_total_in_another_currency_or_with_tax_in_it_is_put_back_by_choice(
    world, edit, reason, words
):
    world.store.record.taxes_included = True
    world.store.record.currencies = ["USD", "CAD"]
    order = world.placed()
    total = order.expected_total
    world.pass_time(2)
    world.store.edit_draft(order.draft_gid, **edit)
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason, draft_of(world, order).total_price_set) == (
        State.ON_HOLD,
        reason,
        total,
    )
    assert reasons.reason(reason).told(order.detail) == words
    choices.restore(order, by="7")
    world.settle()
    order = world.order(order.tiktok_id)
    placed = shopify_order(world, order)
    assert (order.state, placed.total_tax_set, placed.currency) == (State.FINALIZED, 0, "USD")


def test_totals_are_judged_when_shopify_has_computed_them(world, settings):
    settings.READY_WAITS = [timedelta(seconds=30)]
    world.shopify.settings.change(ready_after=60.0, provisional_totals=True)
    order = world.placed()
    assert (order.state, order.reason, bool(order.draft_gid)) == (State.RECEIVED, "", True)
    world.after(61)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason, order.create_tries) == (State.ON_HOLD, "", 1)
    world.tiktok.change_quantity(order.tiktok_id, "TEE-BLK-M", 2)
    world.settle()
    assert world.order(order.tiktok_id).reason == ""
    world.after(61)
    world.tiktok.release(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    world.after(61)
    assert world.order(order.tiktok_id).state == State.FINALIZED
    assert not OrderLog.objects.filter(what="asked").exists()


@pytest.mark.parametrize("when", ["in the hold", "after the release"])
def test_an_edited_draft_is_put_back_when_a_person_says_so(world, when):
    order = world.placed(lines=[("TEE-BLK-M", 2)])
    variant = world.store.variant("MUG-WHT").id
    world.pass_time(2)
    note = f"{draft_of(world, order).note}\nPack with care"
    world.store.edit_draft(order.draft_gid, lineItems=[{"variantId": variant, "quantity": 1}], note=note)
    world.settle()
    if when == "after the release":
        world.release_hold()
        assert world.order(order.tiktok_id).reason == "draft_edited"
    choices.restore(world.order(order.tiktok_id), by="7")
    world.settle()
    if when == "in the hold":
        order = world.order(order.tiktok_id)
        assert (order.state, order.reason, order.restore) == (State.ON_HOLD, "", False)
        assert draft_of(world, order).total_price_set == order.expected_total
        world.release_hold()
    order = world.order(order.tiktok_id)
    placed = shopify_order(world, order)
    assert placed.total_price_set == order.expected_total
    assert [line.quantity for line in placed.lines] == [2]
    assert "Pack with care" in placed.note
    assert order.log.get(what="chose").call == "restore the draft"


def test_an_order_to_a_place_tiktok_does_not_serve_is_completed_only_by_choice(world):
    place = {"city": "San Juan", "county": "", "state": "Puerto Rico", "state_code": "PR"}
    order = world.finalized(buyer=place)
    assert (order.state, order.reason) == (State.ON_HOLD, "destination_unsupported")
    assert order.detail == {"destination": "PR"}
    choices.complete_anyway(order, by="7")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "")
    assert shopify_order(world, order).total_price_set == order.expected_total


def test_completing_anyway_never_completes_a_wrong_total(world):
    place = {"city": "San Juan", "county": "", "state": "Puerto Rico", "state_code": "PR"}
    order = world.finalized(buyer=place)
    world.pass_time(2)
    variant = world.store.variant("MUG-WHT").id
    world.store.edit_draft(order.draft_gid, lineItems=[{"variantId": variant, "quantity": 1}])
    choices.complete_anyway(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == "draft_edited"
    assert world.store.orders == {}


def test_a_draft_that_a_merchant_deleted_is_never_silently_made_again(world):
    order = world.placed()
    world.pass_time(2)
    world.store.delete_draft(order.draft_gid)
    world.settle()
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.ON_HOLD, "draft_deleted")
    assert world.store.drafts == {}
    choices.import_anyway(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_a_draft_that_a_merchant_completed_gets_its_address_and_is_followed(world):
    order = world.placed()
    world.pass_time(2)
    world.store.complete_draft(order.draft_gid)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "draft_completed_by_hand")
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert order.reason == ""
    assert shopify_order(world, order).shipping_address["zip"]
    assert "on hold" not in shopify_order(world, order).note


def test_what_a_merchant_wrote_in_an_order_completed_by_hand_stays(world):
    order = world.placed()
    world.pass_time(2)
    world.store.edit_draft(order.draft_gid, note=f"{draft_of(world, order).note}\nPack with care")
    world.store.complete_draft(order.draft_gid)
    world.settle()
    world.release_hold()
    note = shopify_order(world, world.order(order.tiktok_id)).note
    assert "on hold" not in note and note.endswith("Pack with care")


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("cancel_order", "merchant_cancelled"),
        ("delete_order", "merchant_deleted"),
        ("refund_order", "merchant_refunded"),
    ],
)
def test_what_a_merchant_ends_in_shopify_is_shown_and_never_made_again(world, act, reason):
    order = world.finalized()
    world.pass_time(2)
    getattr(world.store, act)(order.order_gid)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, reason)
    assert len(world.shopify_effects("draft_created")) == 1


def test_a_person_skips_an_order_in_its_hold_and_its_draft_goes(world):
    order = world.placed()
    choices.skip(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.SKIPPED
    assert world.store.drafts == {}


# ---- later statuses ----


def test_an_order_is_followed_until_it_is_completed(world):
    order = world.finalized()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    seen = [world.order(order.tiktok_id).state]
    for step in ("carrier_scan", "deliver", "complete"):
        getattr(world.tiktok, step)(order.tiktok_id)
        world.settle()
        seen.append(world.order(order.tiktok_id).state)
    assert seen == [State.SHIPPED, State.SHIPPED, State.DELIVERED, State.COMPLETED]
