"""Whatever happens at whichever moment of an order's life: nothing wrong is shipped, nothing is left behind."""

from datetime import timedelta

import pytest
from django.utils import timezone
from test_model import meanwhile  # noqa: F401  (a fixture)
from world import World

from connector import choices, inbox, jobs, parcels, work
from connector.models import Connection, InboxEvent, Order, Parcel
from connector.states import OrderState as State
from connector.states import ParcelState

UPS, UPS_TOO = "1Z410E7W0392751591", "1Z5R89390357567127"


def shopify_order(world: World, order: Order):
    return world.store.orders[world.order(order.tiktok_id).order_gid]


# ---- what TikTok says ----


def test_a_status_that_nobody_knows_is_never_taken_for_the_end_of_the_hold(world):
    order = world.placed()
    world.answers_once(order.tiktok_id, status="RISK_REVIEW")
    choices.look_again(order, by="7")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.ON_HOLD, "unknown_status")
    assert order.detail["status"] == "RISK_REVIEW"
    assert world.store.orders == {}


def test_a_parcel_whose_units_were_all_cancelled_ships_nothing_in_their_place(world):
    order = world.finalized(lines=[("TEE-BLK-M", 1), ("MUG-WHT", 1)])
    mug = order.lines.get(seller_sku="MUG-WHT")
    world.tiktok.webhooks.drop(5)
    world.tiktok.cancel_lines(order.tiktok_id, [mug.tiktok_line_id])
    world.store.fulfill(order.order_gid, lines={mug.shopify_line_gid: 1}, company="UPS", numbers=[UPS])
    world.settle()
    assert world.parcel(order).reason == "too_few_units"
    assert world.tiktok_effects("ship") == world.tiktok_effects("ship_refused") == []


def test_a_parcel_with_a_cancelled_unit_sends_the_others_and_knows_its_own_number_again(world):
    order = world.finalized(lines=[("TEE-BLK-M", 3)])
    world.tiktok.webhooks.drop(5)
    world.tiktok.cancel_lines(order.tiktok_id, 1)
    world.tiktok.faults.add("ship", "lost_reply")
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.after(20)
    assert world.parcel(order).state == ParcelState.ACCEPTED
    assert [len(entry["line_ids"]) for entry in world.tiktok_effects("ship")] == [2]


def test_lines_that_change_twice_in_the_hold_are_right_in_the_end(world):
    order = world.placed(lines=[("TEE-BLK-M", 4), ("MUG-WHT", 1)])
    for _ in range(2):
        world.tiktok.cancel_lines(order.tiktok_id, 1)
        world.settle()
    world.release_hold()
    placed = shopify_order(world, order)
    assert placed.total_price_set == world.order(order.tiktok_id).expected_total
    assert sum(line.quantity for line in placed.lines) == 3


@pytest.mark.parametrize("fault", ["lost_reply", "truncated"])
def test_our_own_rewrite_whose_answer_was_lost_is_not_taken_for_a_merchants_edit(world, fault):
    order = world.placed(lines=[("TEE-BLK-M", 3)])
    world.shopify.faults.add("draftOrderUpdate", fault)
    world.tiktok.cancel_lines(order.tiktok_id, 1)
    world.settle()
    world.after(20)
    assert world.order(order.tiktok_id).reason == ""
    world.release_hold()
    assert world.order(order.tiktok_id).state == State.FINALIZED
    assert sum(line.quantity for line in shopify_order(world, order).lines) == 2


def test_an_order_that_tiktok_does_not_show_for_a_moment_is_looked_at_again_by_itself(world):
    order = world.placed()
    hidden = world.tiktok.world.orders.pop(order.tiktok_id)
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == "order_not_found"
    world.tiktok.world.orders[order.tiktok_id] = hidden
    world.after(61)
    assert world.order(order.tiktok_id).reason == ""


def test_a_dismissed_cancel_request_does_not_hide_the_next_one(world):
    order = world.finalized()
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    choices.dismiss(world.order(order.tiktok_id), by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == ""
    world.tiktok.decide_cancel(order.tiktok_id, approve=False, by="BUYER")
    world.settle()
    world.tiktok.buyer_requests_cancel(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).reason == "cancel_requested"


def test_a_dismissed_difference_does_not_hide_a_further_one(world):
    order = world.finalized(lines=[("TEE-BLK-M", 3)])
    for left in ("2", "1"):
        world.tiktok.cancel_lines(order.tiktok_id, 1)
        world.settle()
        order = world.order(order.tiktok_id)
        assert order.reason == "lines_changed_after_finalize"
        assert [change["after"] for change in order.detail["changes"]] == [left]
        choices.dismiss(order, by="7")
        world.settle()
        assert world.order(order.tiktok_id).reason == ""
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == ""


def test_an_address_that_changed_hides_no_cancelled_line_and_may_change_again(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    mug = next(line.id for line in world.store.orders[order.order_gid].lines if line.sku == "MUG-WHT")
    world.store.fulfill(order.order_gid, lines={mug: 1}, company="UPS", numbers=["1Z410E7W0392751591"])
    world.settle()
    world.tiktok.cancel_lines(order.tiktok_id, 1)
    world.settle()
    standing = ["lines_changed_after_finalize"]
    for street in ("77 New Street", "78 New Street"):
        world.pass_time(2)
        world.tiktok.change_address(order.tiktok_id, address_line1=street)
        world.settle()
        for reason in ["address_changed_after_shipped", *standing]:
            order = world.order(order.tiktok_id)
            assert order.reason == reason
            choices.dismiss(order, by="7")
            world.settle()
        standing = []
        assert world.order(order.tiktok_id).reason == ""


# ---- a create in doubt ----


def in_doubt(world: World, **facts) -> Order:
    """An order whose draft exists, and nobody told us."""
    world.shopify.faults.add("draftOrderCreate", "lost_reply")
    world.shopify.webhooks.drop(1)
    order = world.placed(**facts)
    assert (order.draft_gid, len(world.store.drafts)) == ("", 1)
    return order


def test_an_order_that_a_person_skips_while_its_create_is_in_doubt_leaves_no_draft(world):
    order = in_doubt(world)
    choices.skip(order, by="7")
    world.settle()
    for seconds in (5, 10, 46):
        world.after(seconds)
    assert world.order(order.tiktok_id).state == State.SKIPPED
    assert world.store.drafts == {}


def test_an_order_shipped_outside_while_its_create_is_in_doubt_leaves_no_draft(world):
    order = in_doubt(world, hold=False)
    world.tiktok.ship_outside(order.tiktok_id)
    world.settle()
    for seconds in (5, 10, 46):
        world.after(seconds)
    assert world.order(order.tiktok_id).state == State.SKIPPED
    assert world.store.drafts == {}


def test_a_draft_that_surfaces_when_its_order_is_given_up_is_deleted(world):
    world.shopify.settings.change(search_lag=3600.0)
    order = in_doubt(world)
    world.tiktok.cancel(order.tiktok_id)
    world.settle()
    for seconds in (5, 10, 46):
        world.after(seconds)
    assert world.order(order.tiktok_id).state == State.CANCELLED
    [draft] = world.store.drafts.values()
    world.store.add_tags(draft.id, "seen")
    world.settle()
    assert world.store.drafts == {}


def test_a_lost_draft_that_a_merchant_completed_is_cancelled_with_its_order(world):
    order = in_doubt(world)
    [draft] = world.store.drafts.values()
    world.shopify.webhooks.drop(5)
    world.store.complete_draft(draft.id)
    world.tiktok.cancel(order.tiktok_id)
    world.settle()
    for seconds in (5, 10, 46):
        world.after(seconds)
    assert world.order(order.tiktok_id).state == State.CANCELLED
    assert shopify_order(world, order).cancelled_at


# ---- what a merchant does ----


def test_a_draft_that_a_merchant_completed_in_the_hold_loses_the_hold_tag_at_its_end(world):
    order = world.placed()
    world.pass_time(2)
    world.store.complete_draft(order.draft_gid)
    world.settle()
    assert "tiktok-on-hold" in shopify_order(world, order).tags
    world.release_hold()
    assert "tiktok-on-hold" not in shopify_order(world, order).tags


def test_a_person_who_skips_an_order_that_a_merchant_just_completed_sees_it_followed(world):
    order = world.placed()
    world.shopify.webhooks.drop(5)
    world.store.complete_draft(order.draft_gid)
    choices.skip(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_an_order_that_a_merchant_deleted_before_it_knew_its_reference_is_told(world):
    world.shopify.faults.add("orderUpdate", "500")
    order = world.finalized()
    world.store.delete_order(order.order_gid)
    world.settle()
    world.after(20)
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "merchant_deleted")


def test_the_silence_about_an_order_of_more_than_60_days_is_no_deletion(world):
    order = world.finalized()
    world.shopify.webhooks.drop(1000)
    world.pass_time(61 * 86400)
    Order.objects.filter(pk=order.pk).update(order_touched=True)
    choices.look_again(world.order(order.tiktok_id), by="7")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.order_touched, order.shopify_state, order.reason) == (False, "", "")


def test_a_fulfillment_made_while_the_completions_answer_was_lost_is_looked_for(world):
    order = world.placed()
    world.shopify.faults.add("draftOrderComplete", "lost_reply")
    world.shopify.webhooks.drop(20)
    world.tiktok.webhooks.drop(5)
    world.pass_time(3601)
    Connection.objects.update(due_at=None)
    while not world.store.orders:
        jobs.drain(world.shop.pk)
    [placed] = world.store.orders.values()
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    world.store.fulfill(placed.id, company="UPS", numbers=[UPS])
    world.settle()
    assert world.parcel(world.order(order.tiktok_id)).state == ParcelState.ACCEPTED


# ---- parcels ----


def test_a_correction_whose_answer_was_lost_takes_the_former_numbers_place(world):
    order = world.finalized()
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.tiktok.faults.add("correct", "lost_reply")
    world.store.update_tracking(fulfillment.id, numbers=[UPS_TOO])
    world.settle()
    world.after(20)
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {UPS: ParcelState.REPLACED, UPS_TOO: ParcelState.ACCEPTED}
    assert Parcel.objects.get(number=UPS_TOO).corrections == 1


def test_a_correction_names_its_package_although_the_other_one_was_sent_after_we_looked(world, meanwhile):  # noqa: F811
    order = world.finalized(lines=[("MUG-WHT", 2)])
    [line] = shopify_order(world, order).lines
    made = world.store.fulfill(order.order_gid, {line.id: 1}, "UPS", [UPS])
    world.settle()
    world.store.update_tracking(made.id, numbers=[UPS_TOO])
    with meanwhile.the_next("GET /order/202507", lambda: world.tiktok.ship_outside(order.tiktok_id)):
        world.settle()
        assert meanwhile.deed is None
    assert world.tiktok_effects("correction_refused") == []
    assert Parcel.objects.get(number=UPS_TOO).state == ParcelState.ACCEPTED
    assert len(world.tiktok_effects("correction")) == 1


def test_a_carriers_correction_whose_answer_was_lost_is_not_sent_twice(world):
    order = world.finalized()
    fulfillment = world.store.fulfill(order.order_gid, company="Veho", numbers=["ABCDEFGH12345678"])
    world.settle()
    world.tiktok.faults.add("correct", "lost_reply")
    world.store.update_tracking(fulfillment.id, company="OSM")
    world.settle()
    world.after(20)
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason, parcel.corrections) == (ParcelState.ACCEPTED, "", 1)
    assert world.tiktok_effects("correction_refused") == []


def test_a_fulfillment_cancelled_while_its_number_is_being_sent_is_told_when_tiktok_has_it(world):
    order = world.finalized()
    world.tiktok.faults.add("ship", "lost_reply")
    world.tiktok.faults.add("get_order", "503", times=2)
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    while not world.tiktok_effects("ship"):
        jobs.drain(world.shop.pk)
    world.store.cancel_fulfillment(fulfillment.id)
    world.settle()
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason) == (ParcelState.ACCEPTED, "fulfillment_cancelled")


def test_what_tiktok_calls_not_ready_again_and_again_becomes_a_question(world):
    order = world.finalized()
    world.tiktok.faults.add("ship", "error", times=50, code=21011003, message="Not awaiting shipment")
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.shopify.webhooks.wait_until_quiet(5)
    for _ in range(8):
        jobs.drain(world.shop.pk)
        Parcel.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
    assert world.parcel(order).reason == "tracking_refused"


def test_what_tiktok_calls_not_ready_after_an_outage_is_tried_again_first(world):
    order = world.finalized()
    world.tiktok.faults.add("ship", "error", code=21011003, message="Not awaiting shipment")
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.shopify.webhooks.wait_until_quiet(5)
    [event] = InboxEvent.claim(world.shop.pk, 1)
    work.run(event, inbox.answer)
    since = timezone.now() - timedelta(hours=3)
    Parcel.objects.update(attempts=12, failing_since=since, last_error="TikTok does not answer")
    [parcel] = Parcel.claim(world.shop.pk, 1)
    work.run(parcel, parcels.advance_parcel)
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason) == (ParcelState.WAITING, "")
    assert "Not awaiting shipment" in parcel.last_error
    assert parcel.due_at - timezone.now() < timedelta(seconds=5)
    world.settle()
    assert world.parcel(order).state == ParcelState.ACCEPTED


def test_a_provider_that_tiktok_no_longer_takes_is_tried_once_more_with_the_list_of_now(world):
    order = world.finalized()
    parcels.lists.clear()
    first = world.store.fulfill(order.order_gid, company="UPS", numbers=["1Z410E7W0392751592"])
    world.settle()
    age_lists()
    world.tiktok.faults.add("ship", "error", code=21011022, message="Invalid provider")
    world.store.update_tracking(first.id, numbers=[UPS])
    world.settle()
    assert Parcel.objects.get(number=UPS).state == ParcelState.ACCEPTED


def test_a_number_that_tiktok_refuses_with_a_fresh_list_too_is_a_question(world):
    order = world.finalized()
    world.tiktok.faults.add("ship", "error", times=2, code=21011022, message="Invalid number")
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason) == (ParcelState.WAITING, "tracking_refused")


def age_lists() -> None:
    """The lists were read ten minutes ago."""
    assert parcels.lists
    for key, (until, providers) in parcels.lists.items():
        parcels.lists[key] = (until - 600, providers)


# ---- completed by a merchant and deleted before we knew ----


def gone_unheard(world: World) -> Order:
    """A held order whose draft a merchant completed, and whose Shopify order he deleted."""
    order = world.placed()
    world.shopify.webhooks.drop_share(1)
    made = world.store.complete_draft(order.draft_gid)
    world.store.cancel_order(made.id)
    world.store.delete_order(made.id)
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == "merchant_deleted"
    return order


def test_an_order_that_a_merchant_completed_and_deleted_is_over_when_tiktok_cancels_it(world):
    order = gone_unheard(world)
    world.tiktok.cancel(order.tiktok_id)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.CANCELLED, "")


def test_an_order_that_a_merchant_completed_and_deleted_can_be_kept_out(world):
    order = gone_unheard(world)
    choices.skip(order, by="7")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.SKIPPED, "skipped_by_person")
