"""The way back: every fulfillment in Shopify, whoever made it, becomes tracking that TikTok accepts."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone
from world import World

from connector import choices, parcels
from connector.models import PULLED, Connection, InboxEvent, Order, OrderLine, Parcel
from connector.platforms import shopify_for, tiktok_for
from connector.states import OrderState
from connector.states import ParcelState as State
from shopify_app.orders import TrackingInfo

UPS, UPS_TOO, UPS_MORE = "1Z410E7W0392751591", "1Z5R89390357567127", "1Z879E930346834440"
USPS = "9400111899223100001984"
MISTYPED, MISTYPED_TOO = "1Z410E7W0392751592", "1Z410E7W0392751593"


def ship(
    world: World,
    order: Order,
    company: str | None = "UPS",
    *numbers: str,
    lines: dict[str, int] | None = None,
):
    """What a warehouse does; returns the fulfillment."""
    fulfillment = world.store.fulfill(order.order_gid, lines=lines, company=company, numbers=list(numbers))
    world.settle()
    return fulfillment


def shipped(world: World) -> list[tuple[str, str, int]]:
    return [(e["number"], e["provider"], len(e["line_ids"])) for e in world.tiktok_effects("ship")]


def test_a_fulfillment_reaches_tiktok_with_its_carrier_and_number(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    ship(world, order, "UPS", UPS)
    parcel = world.parcel(order)
    assert parcel.state == State.ACCEPTED
    assert parcel.package_id
    assert shipped(world) == [(UPS, "UPS", 3)]
    assert world.order(order.tiktok_id).state == OrderState.SHIPPED


@pytest.mark.parametrize(
    ("company", "number", "provider"),
    [
        ("usps", "9400 1118 9922 3100 0019 84", "USPS"),
        ("United States Postal Service", "9400-1118-9922-3100-0019-84", "USPS"),
        ("Fed Ex", "477179081230", "FedEx"),
        ("Lasership", "la28372694", "LaserShip"),
        ("LSO", "LSO-1234-5678", "Lone Star Overnight"),
        ("DHL", "GM2951173225174494", "DHL eCommerce"),
        ("DHL", "1099255990", "DHL express"),
        (None, UPS, "UPS"),
        ("My own courier", "TBA000000000000", "Amazon Logistics"),
    ],
)
def test_a_carriers_spelling_and_a_numbers_spaces_do_not_matter(world, company, number, provider):
    order = world.finalized()
    ship(world, order, company, number)
    parcel = world.parcel(order)
    assert parcel.state == State.ACCEPTED, parcel.detail
    assert shipped(world)[0][1] == provider


@pytest.mark.parametrize(
    ("company", "reason"), [("UPS", "tracking_refused"), ("LaserShip", "tracking_warning")]
)
def test_a_number_of_no_known_form_is_tiktoks_to_judge(world, company, reason):
    order = world.finalized()
    fulfillment = ship(world, order, company, "HELLO12345")
    parcel = world.parcel(order)
    assert (parcel.verdict, parcel.reason) == ("warn", reason)
    assert "match" in parcel.detail["words"]
    world.store.update_tracking(fulfillment.id, company="UPS", numbers=[UPS])
    world.settle()
    assert Parcel.objects.get(order=order, number=UPS).state == State.ACCEPTED
    assert len(world.tiktok_effects("correction")) == (reason == "tracking_warning")


@pytest.mark.parametrize(
    ("company", "number", "reason"),
    [
        ("UPS", "1Z410E7W0392751592", "number_invalid"),
        ("UPS", "9400111899223100001984", "number_mismatch"),
        ("USPS", "940011189922310000198!", "number_invalid"),
        ("UPS", "1Z", "number_invalid"),
        ("Sendle", "SNDL12345678", "carrier_not_supported"),
        ("Bob with a bike", "BOB-1", "carrier_unknown"),
        ("UPS", None, "number_missing"),
    ],
)
def test_what_tiktok_would_refuse_is_stopped_before_the_call_with_its_reason(world, company, number, reason):
    order = world.finalized()
    ship(world, order, company, *([number] if number else []))
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason) == (State.WAITING, reason)
    assert world.tiktok_effects("ship") == world.tiktok_effects("ship_refused") == []


def test_a_corrected_number_in_shopify_takes_the_place_of_a_stopped_one(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", "1Z410E7W0392751592")
    world.store.update_tracking(fulfillment.id, numbers=[UPS])
    world.settle()
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {"1Z410E7W0392751592": State.REPLACED, UPS: State.ACCEPTED}
    assert shipped(world) == [(UPS, "UPS", 1)]


def test_a_corrected_carrier_in_shopify_sends_what_waited(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", USPS)
    world.store.update_tracking(fulfillment.id, company="USPS")
    world.settle()
    assert world.parcel(order).state == State.ACCEPTED


def test_a_number_added_later_to_a_fulfillment_without_one_makes_the_parcel(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS")
    world.store.update_tracking(fulfillment.id, company="UPS", numbers=[UPS])
    world.settle()
    assert Parcel.objects.get(order=order, number=UPS).state == State.ACCEPTED
    assert world.order(order.tiktok_id).state == OrderState.SHIPPED


def test_an_older_reading_of_a_fulfillment_changes_nothing_when_it_comes_last(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", MISTYPED)
    asked_at, older = timezone.now(), shopify_for(world.shop).get_fulfillment(fulfillment.id)
    world.store.update_tracking(fulfillment.id, numbers=[UPS])
    world.settle()
    assert not parcels.take(world.order(order.tiktok_id), older, asked_at)
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {MISTYPED: State.REPLACED, UPS: State.ACCEPTED}
    assert world.tiktok_effects("correction") == []


def test_of_two_readings_within_one_second_the_one_asked_for_later_counts(world):
    order = world.finalized()
    reading = world.store.fulfill(order.order_gid, company="UPS", numbers=[MISTYPED])
    older = shopify_for(world.shop).get_fulfillment(reading.id)
    newer = replace(older, tracking=(TrackingInfo("UPS", UPS, ""),))
    first, then = timezone.now(), timezone.now() + timedelta(milliseconds=30)
    assert parcels.take(order, newer, then)
    assert not parcels.take(order, older, first)
    assert [parcel.number for parcel in order.parcels.all()] == [UPS]
    world.settle()


def test_two_workers_with_two_readings_keep_the_later_one_and_lose_no_unit(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[MISTYPED])
    now, older = timezone.now(), shopify_for(world.shop).get_fulfillment(fulfillment.id)
    later = [
        replace(older, tracking=(TrackingInfo("UPS", number, ""),)) for number in (UPS_TOO, UPS_MORE, UPS)
    ]
    readings = [(one, now + timedelta(milliseconds=n)) for n, one in enumerate([older, *later])]

    def take(reading):
        try:
            return parcels.take(order, *reading)
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, reversed(readings)))
    world.store.update_tracking(fulfillment.id, numbers=[UPS])
    standing = order.parcels.get(state=State.WAITING)
    assert (standing.number, standing.units.count()) == (UPS, 2)
    world.settle()
    assert shipped(world) == [(UPS, "UPS", 2)]


def test_a_number_that_goes_back_to_its_former_one_is_a_change_like_any_other(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", MISTYPED)
    for number in (MISTYPED_TOO, MISTYPED):
        world.store.update_tracking(fulfillment.id, numbers=[number])
        world.settle()
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {MISTYPED_TOO: State.REPLACED, MISTYPED: State.WAITING}
    former = Parcel.objects.get(number=MISTYPED)
    assert (former.reason, former.units.count()) == ("number_invalid", 1)
    world.store.update_tracking(fulfillment.id, numbers=[UPS])
    world.settle()
    assert shipped(world) == [(UPS, "UPS", 1)]


def test_the_pull_sees_a_number_that_went_back_without_a_word(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", UPS)
    world.store.update_tracking(fulfillment.id, numbers=[UPS_TOO])
    world.settle()
    world.shopify.webhooks.drop(5)
    world.store.update_tracking(fulfillment.id, numbers=[UPS])
    world.after(400)
    former = Parcel.objects.get(number=UPS)
    assert (former.state, former.reason) == (State.WAITING, "edit_limit")
    assert former.detail == {"number": UPS, "standing": UPS_TOO}


def test_the_pull_sees_a_carrier_that_was_corrected_without_a_word_and_rings_no_more_for_what_is_known(world):
    order = world.finalized()
    fulfillment = ship(world, order, "Bob with a bike", "BOB1234")
    assert world.parcel(order).reason == "carrier_unknown"
    world.shopify.webhooks.drop(5)
    world.store.update_tracking(fulfillment.id, company="Veho")
    world.after(400)
    assert (world.parcel(order).state, shipped(world)) == (State.ACCEPTED, [("BOB1234", "Veho", 1)])
    rings = InboxEvent.objects.filter(key__startswith=PULLED)
    known = rings.count()
    world.store.add_tags(order.order_gid, "fig")
    world.after(400)
    assert rings.count() == known


def test_the_pull_sees_a_number_that_stands_again_after_its_fulfillment_had_failed(world):
    order = world.finalized()
    ship(world, order, "Bob with a bike", "BOB1234")
    Parcel.objects.update(state=State.WITHDRAWN, reason="")
    world.store.add_tags(order.order_gid, "fig")
    world.after(400)
    assert (world.parcel(order).state, world.parcel(order).reason) == (State.WAITING, "carrier_unknown")


def test_a_carrier_the_merchant_linked_is_used_from_then_on(world):
    order = world.finalized()
    ship(world, order, "Bob with a bike", "BOB-1234")
    woken = choices.link_carrier(world.connection, "Bob with a bike", provider_id(world, "Veho"), "Veho", "7")
    world.settle()
    assert woken == 1
    assert world.parcel(order).state == State.ACCEPTED
    assert shipped(world) == [("BOB1234", "Veho", 1)]


def test_a_fallback_carrier_is_off_by_default_and_marked_when_used(world):
    world.set_policy(fallback_provider=provider_id(world, "Veho"))
    order = world.finalized()
    ship(world, order, "Sendle", "SNDL12345678")
    parcel = world.parcel(order)
    assert (parcel.state, parcel.resolved_by) == (State.ACCEPTED, "fallback")


def test_a_partial_shipment_sends_its_units_and_the_rest_goes_later(world):
    order = world.finalized(lines=[("TEE-BLK-M", 3)])
    line = next(iter(world.store.orders[order.order_gid].lines)).id
    ship(world, order, "UPS", UPS, lines={line: 2})
    assert world.order(order.tiktok_id).tiktok_status == "PARTIALLY_SHIPPING"
    ship(world, order, "UPS", UPS_TOO, lines={line: 1})
    assert shipped(world) == [(UPS, "UPS", 2), (UPS_TOO, "UPS", 1)]
    assert world.order(order.tiktok_id).state == OrderState.SHIPPED


def test_a_second_fulfillment_with_the_same_number_is_sent_with_its_own_lines(world):
    order, tee, mug = two_lines(world)
    ship(world, order, "UPS", UPS, lines={tee: 1})
    ship(world, order, "UPS", UPS, lines={mug: 1})
    assert [parcel.state for parcel in order.parcels.all()] == [State.ACCEPTED, State.ACCEPTED]
    assert shipped(world) == [(UPS, "UPS", 1), (UPS, "UPS", 1)]
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (OrderState.SHIPPED, "")


def two_lines(world: World) -> tuple[Order, str, str]:
    """A finalized order, and the ids of its two lines in Shopify."""
    order = world.finalized(lines=[("TEE-BLK-M", 1), ("MUG-WHT", 1)])
    return order, *(order.lines.get(seller_sku=sku).shopify_line_gid for sku in ("TEE-BLK-M", "MUG-WHT"))


@pytest.mark.parametrize("on_lines", [True, False])
def test_a_lost_answer_is_known_again_wherever_tiktok_shows_the_number(world, on_lines):
    world.tiktok.settings.numbers_on_lines = on_lines
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    world.tiktok.faults.add("ship", "lost_reply")
    ship(world, order, "UPS", UPS)
    world.after(20)
    assert (world.parcel(order).state, bool(world.parcel(order).package_id)) == (State.ACCEPTED, True)
    assert len(shipped(world)) == 1
    assert world.tiktok_effects("ship_refused") == []


def test_a_number_that_a_part_has_in_tiktok_already_is_sent_for_the_rest(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    world.tiktok.ship_outside(order.tiktok_id, provider="UPS", number=UPS, lines=1)
    world.after(400)  # a part alone rings no bell
    assert world.order(order.tiktok_id).reason == "shipped_elsewhere"
    ship(world, order, "UPS", UPS)
    assert world.parcel(order).state == State.ACCEPTED
    assert shipped(world) == [(UPS, "UPS", 1)]
    assert world.tiktok_effects("ship_refused") == []
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason, order.shipped_elsewhere) == (OrderState.SHIPPED, "", [])


def test_of_several_numbers_the_first_takes_all_units_and_the_others_are_kept(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    ship(world, order, "UPS", UPS, UPS_TOO)
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {UPS: State.ACCEPTED, UPS_TOO: State.KEPT}
    assert shipped(world) == [(UPS, "UPS", 2)]


def test_a_number_with_a_slash_in_it_is_sent_whole(world):
    order = world.finalized()
    ship(world, order, "Veho", "AB12/3456")
    assert shipped(world) == [("AB12/3456", "Veho", 1)]


def test_an_order_that_names_no_delivery_option_goes_by_the_carriers_of_the_shop(world):
    order = world.finalized()
    world.tiktok.world.orders[order.tiktok_id].delivery_option_id = ""
    ship(world, order, "UPS", UPS)
    assert shipped(world) == [(UPS, "UPS", 1)]


def test_two_numbers_in_one_field_are_two_numbers(world):
    order = world.finalized()
    ship(world, order, "UPS", f"{UPS}, {UPS_TOO}")
    assert set(Parcel.objects.filter(order=order).values_list("number", flat=True)) == {UPS, UPS_TOO}


def test_a_changed_number_is_corrected_once_and_then_a_persons_matter(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", UPS)
    world.store.update_tracking(fulfillment.id, numbers=[UPS_TOO])
    world.settle()
    assert Parcel.objects.get(number=UPS_TOO).state == State.ACCEPTED
    assert Parcel.objects.get(number=UPS).state == State.REPLACED
    assert [e["number"] for e in world.tiktok_effects("correction")] == [UPS_TOO]
    world.store.update_tracking(fulfillment.id, numbers=[UPS_MORE])
    world.settle()
    assert Parcel.objects.get(number=UPS_MORE).reason == "edit_limit"
    assert len(world.tiktok_effects("correction")) == 1


def test_the_number_of_a_partly_shipped_order_is_corrected_by_its_package(world):
    order, tee, mug = two_lines(world)
    fulfillment = ship(world, order, "UPS", UPS, lines={tee: 1})
    world.store.update_tracking(fulfillment.id, numbers=[UPS_TOO])
    world.settle()
    assert Parcel.objects.get(number=UPS_TOO).state == State.ACCEPTED
    assert [entry["number"] for entry in world.tiktok_effects("correction")] == [UPS_TOO]
    ship(world, order, "UPS", UPS_MORE, lines={mug: 1})
    assert shipped(world) == [(UPS, "UPS", 1), (UPS_MORE, "UPS", 1)]


def test_the_number_of_an_order_that_was_split_is_corrected_by_its_package(world):
    order, tee, mug = two_lines(world)
    fulfillment = ship(world, order, "UPS", UPS, lines={tee: 1})
    ship(world, order, "UPS", UPS, lines={mug: 1})
    world.tiktok.world.orders[order.tiktok_id].split_or_combine_tag = "SPLIT"
    world.store.update_tracking(fulfillment.id, numbers=[UPS_TOO])
    world.settle()
    assert Parcel.objects.get(number=UPS_TOO).state == State.ACCEPTED
    assert world.tiktok_effects("correction_refused") == []


def test_a_number_changed_after_72_hours_is_not_sent(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", UPS)
    world.after(73 * 3600)
    world.store.update_tracking(fulfillment.id, numbers=[UPS_TOO])
    world.settle()
    assert Parcel.objects.get(number=UPS_TOO).reason == "tracking_changed_too_late"
    assert world.tiktok_effects("correction") == world.tiktok_effects("correction_refused") == []


def test_a_carrier_changed_after_acceptance_spends_the_correction(world):
    order = world.finalized()
    fulfillment = ship(world, order, "Veho", "ABCDEFGH12345678")
    world.store.update_tracking(fulfillment.id, company="OSM")
    world.settle()
    parcel = world.parcel(order)
    assert (parcel.state, parcel.provider_name, parcel.corrections) == (State.ACCEPTED, "OSM Worldwide", 1)
    assert len(world.tiktok_effects("correction")) == 1


def test_a_cancelled_fulfillment_gives_its_units_back(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", "1Z410E7W0392751592")
    world.store.cancel_fulfillment(fulfillment.id)
    world.settle()
    assert world.parcel(order).state == State.WITHDRAWN
    ship(world, order, "UPS", UPS)
    assert shipped(world) == [(UPS, "UPS", 1)]


def test_a_fulfillment_cancelled_after_acceptance_asks_and_the_next_number_corrects_it(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", UPS)
    world.store.cancel_fulfillment(fulfillment.id)
    world.settle()
    assert world.parcel(order).reason == "fulfillment_cancelled"
    ship(world, order, "UPS", UPS_TOO)
    assert [e["number"] for e in world.tiktok_effects("correction")] == [UPS_TOO]
    assert Parcel.objects.get(number=UPS_TOO).state == State.ACCEPTED


def test_a_warning_of_tiktok_is_shown_beside_the_accepted_parcel(world):
    world.tiktok.settings.warn_always = "The number could not be verified."
    order = world.finalized()
    ship(world, order, "UPS", UPS)
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason) == (State.ACCEPTED, "tracking_warning")
    assert parcel.warning


def test_what_tiktok_refuses_keeps_its_exact_words_and_is_never_dropped(world):
    order = world.finalized()
    world.tiktok.faults.add("ship", "error", code=21004016, message="Provider unavailable today")
    ship(world, order, "UPS", UPS)
    parcel = world.parcel(order)
    assert (parcel.state, parcel.reason) == (State.WAITING, "tracking_refused")
    assert "Provider unavailable today" in parcel.detail["words"]
    choices.look_again(order, by="7")
    world.settle()
    assert world.parcel(order).state == State.ACCEPTED


def test_tracking_entered_during_the_hold_is_parked_and_sent_at_its_end(world):
    order = world.placed()
    world.pass_time(2)
    world.store.complete_draft(order.draft_gid)
    world.settle()
    order = world.order(order.tiktok_id)
    ship(world, order, "UPS", UPS)
    assert world.parcel(order).reason == "order_on_hold"
    world.release_hold()
    assert world.parcel(order).state == State.ACCEPTED
    assert world.tiktok_effects("ship_refused") == []


def test_tracking_that_tiktok_does_not_take_within_the_hour_is_sent_after_it_though_nothing_rings(world):
    world.tiktok.settings.hour_for_all = True
    order = world.placed(hold=False)
    nothing_else_wakes(world)
    ship(world, order, "UPS", UPS)
    parcel = world.parcel(order)
    assert parcel.reason == "order_on_hold"
    assert parcel.due_at == parcel.order.paid_at + timedelta(hours=1)
    world.after(3601)
    assert world.parcel(order).state == State.ACCEPTED
    assert len(world.tiktok_effects("ship_refused")) == 1


def nothing_else_wakes(world: World) -> None:
    """The one look after finalizing is over, and the pulls, to which the sandbox's orders are always new, rest."""
    world.after(31)
    Connection.objects.update(due_at=None)


def test_a_hold_that_lasts_longer_than_an_hour_is_asked_of_every_quarter(world):
    world.tiktok.settings.hour_for_all = True
    world.tiktok.settings.hold_seconds = 5400
    order = world.placed(hold=False)
    nothing_else_wakes(world)
    ship(world, order, "UPS", UPS)
    world.after(3601)
    assert world.parcel(order).reason == "order_on_hold"
    for _ in range(2):
        world.after(901)
    assert world.parcel(order).state == State.ACCEPTED


@pytest.mark.parametrize("rings", [True, False])
def test_tracking_that_tiktok_does_not_take_during_a_return_is_sent_when_that_is_closed(world, rings):
    order = world.finalized()
    nothing_else_wakes(world)
    world.tiktok.open_return(order.tiktok_id)
    ship(world, order, "UPS", UPS)
    assert world.parcel(order).reason == "cancel_requested_shipped"
    assert "after-sale" in world.parcel(order).detail["words"]
    if not rings:
        world.tiktok.webhooks.drop(1)
    world.tiktok.close_return(order.tiktok_id)
    world.settle()
    assert (world.parcel(order).state == State.ACCEPTED) == rings
    world.after(3601)
    assert world.parcel(order).state == State.ACCEPTED
    assert len(shipped(world)) == 1


def test_a_return_of_an_order_that_is_not_ours_makes_none(world):
    world.tiktok.webhooks.drop(1)
    tiktok_id = world.tiktok.place_order()
    world.tiktok.open_return(tiktok_id)
    world.settle()
    assert not Order.objects.exists()
    assert InboxEvent.objects.get(topic="RETURN_STATUS_CHANGE").outcome == "not ours"


def test_a_line_that_a_merchant_added_stops_its_fulfillment_with_the_reason(world):
    order = world.finalized()
    world.store.edit_order_lines(order.order_gid, add=[("MUG-WHT", 1)])
    ship(world, order, "UPS", UPS)
    assert world.parcel(order).reason == "foreign_line"
    assert world.tiktok_effects("ship") == []


def test_more_units_than_tiktok_has_left_are_a_question(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    world.tiktok.cancel_lines(order.tiktok_id, 1)
    world.settle()
    ship(world, order, "UPS", UPS)
    assert world.parcel(order).reason == "too_few_units"
    assert OrderLine.objects.filter(order=order, parcel=None).count() == 2


def test_what_lacked_units_goes_when_another_fulfillment_gives_some_back(world):
    order, line = one_unit_short(world)
    surplus = ship(world, order, "UPS", MISTYPED, lines={line: 1})
    ship(world, order, "UPS", UPS, lines={line: 1})
    assert Parcel.objects.get(number=UPS).reason == "too_few_units"
    world.store.cancel_fulfillment(surplus.id)
    world.settle()
    assert Parcel.objects.get(number=UPS).state == State.ACCEPTED
    assert shipped(world) == [(UPS, "UPS", 1)]


def one_unit_short(world: World) -> tuple[Order, str]:
    """An order of two in Shopify, of which TikTok has cancelled one; and its line."""
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    world.tiktok.cancel_lines(order.tiktok_id, 1)
    world.settle()
    return order, order.lines.first().shopify_line_gid


def test_looking_again_sees_a_surplus_fulfillment_that_was_cancelled_unheard(world):
    order, line = one_unit_short(world)
    surplus = ship(world, order, "UPS", MISTYPED, lines={line: 1})
    ship(world, order, "UPS", UPS, lines={line: 1})
    choices.look_again(order, by="7")
    world.settle()
    assert Parcel.objects.get(number=UPS).reason == "too_few_units"
    world.shopify.webhooks.drop(5)
    world.pass_time(2)
    world.store.cancel_fulfillment(surplus.id)
    choices.look_again(order, by="7")
    world.settle()
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {MISTYPED: State.WITHDRAWN, UPS: State.ACCEPTED}


def test_units_that_tiktok_had_with_a_surplus_number_get_the_other_by_correction(world):
    order, line = one_unit_short(world)
    surplus = ship(world, order, "UPS", UPS, lines={line: 1})
    ship(world, order, "UPS", UPS_TOO, lines={line: 1})
    assert Parcel.objects.get(number=UPS_TOO).reason == "too_few_units"
    world.store.cancel_fulfillment(surplus.id)
    world.settle()
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {UPS: State.REPLACED, UPS_TOO: State.ACCEPTED}
    assert [entry["number"] for entry in world.tiktok_effects("correction")] == [UPS_TOO]


def test_looking_again_at_a_foreign_line_says_so_again(world):
    order = world.finalized()
    world.store.edit_order_lines(order.order_gid, add=[("MUG-WHT", 1)])
    ship(world, order, "UPS", UPS)
    choices.look_again(order, by="7")
    world.settle()
    assert world.parcel(order).reason == "foreign_line"


def read_as(world: World, order: Order, gid: str, *statuses: str) -> None:
    """The fulfillment is read with one status after the other."""
    reading = shopify_for(world.shop).get_fulfillment(gid)
    for status in statuses:
        assert parcels.take(order, replace(reading, status=status), timezone.now())


def test_a_fulfillment_that_failed_and_succeeded_after_all_is_sent_with_its_units(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS, UPS_TOO])
    read_as(world, order, fulfillment.id, "SUCCESS", "ERROR")
    assert {parcel.state for parcel in order.parcels.all()} == {State.WITHDRAWN}
    read_as(world, order, fulfillment.id, "SUCCESS")
    world.settle()
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {UPS: State.ACCEPTED, UPS_TOO: State.KEPT}
    assert shipped(world) == [(UPS, "UPS", 2)]
    told = order.log.filter(parcel__number=UPS, what="moved").values_list("old", "new")
    assert list(told) == [("waiting", "withdrawn"), ("withdrawn", "waiting"), ("waiting", "accepted")]


def test_a_number_that_was_withdrawn_and_comes_again_takes_the_place_of_the_one_that_waits(world):
    order = world.finalized()
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    reading = shopify_for(world.shop).get_fulfillment(fulfillment.id)
    other = replace(reading, tracking=(TrackingInfo("UPS", UPS_TOO, ""),))
    for now in (reading, replace(reading, status="ERROR"), other, reading):
        assert parcels.take(order, now, timezone.now())
    world.settle()
    states = dict(Parcel.objects.filter(order=order).values_list("number", "state"))
    assert states == {UPS: State.ACCEPTED, UPS_TOO: State.REPLACED}
    assert shipped(world) == [(UPS, "UPS", 1)]


def test_a_fulfillment_that_succeeds_after_all_has_its_accepted_number_back(world):
    order, tee, mug = two_lines(world)
    fulfillment = ship(world, order, "UPS", UPS, lines={tee: 1})
    read_as(world, order, fulfillment.id, "FAILURE")
    assert Parcel.objects.get(number=UPS).reason == "fulfillment_cancelled"
    read_as(world, order, fulfillment.id, "SUCCESS")
    parcel = Parcel.objects.get(number=UPS)
    assert (parcel.state, parcel.reason, parcel.units.count()) == (State.ACCEPTED, "", 1)
    ship(world, order, "UPS", UPS_TOO, lines={mug: 1})
    assert shipped(world) == [(UPS, "UPS", 1), (UPS_TOO, "UPS", 1)]
    assert world.tiktok_effects("correction") == []


def test_a_number_of_another_order_is_a_question(world):
    first, second = world.finalized(), world.finalized()
    ship(world, first, "UPS", UPS)
    ship(world, second, "UPS", UPS)
    parcel = world.parcel(second)
    assert (parcel.reason, parcel.detail["orders"]) == ("number_in_use", [first.tiktok_id])
    assert len(shipped(world)) == 1


def test_orders_to_one_person_at_one_place_may_share_a_number(world):
    first = world.finalized()
    second = world.finalized(same_buyer_as=first.tiktok_id)
    ship(world, first, "UPS", UPS)
    ship(world, second, "UPS", UPS)
    assert {parcel.state for parcel in Parcel.objects.all()} == {State.ACCEPTED}


def test_orders_that_tiktok_combined_may_share_a_number(world):
    first, second = world.finalized(), world.finalized()
    ship(world, first, "UPS", UPS)
    ship(world, second, "UPS", UPS)
    world.tiktok.combine([first.tiktok_id, second.tiktok_id])
    world.settle()
    assert world.parcel(second).state == State.ACCEPTED


def test_lists_of_carriers_may_be_read_and_forgotten_by_many_at_once(world):
    order = world.finalized()
    ship(world, order, "UPS", UPS)
    parcel, connection = world.parcel(order), world.connection
    # read here: a thread's own database connection would stay open
    assert parcel.order.connection.tiktok_shop.shop_id
    soon = time.monotonic() + parcels.PROVIDERS_FOR
    parcels.lists.update({("another shop", str(n), "", ""): (soon, []) for n in range(20_000)})
    done = threading.Event()

    def forget() -> None:
        while not done.is_set():
            parcels.forget_old_providers(parcel)
            parcels.forget_providers(parcel)

    with ThreadPoolExecutor(3) as pool:
        forgetting = [pool.submit(forget) for _ in range(2)]
        try:
            for n in range(12):
                assert parcels.listed(connection, order.delivery_option_id, f"Z{n}")
        finally:
            done.set()
        assert [one.result() for one in forgetting] == [None, None]
    parcels.lists.clear()


def test_a_list_of_carriers_that_has_run_out_is_kept_no_longer(world):
    order = world.finalized()
    parcels.lists.clear()
    parcels.lists["another shop", "1", "", ""] = (time.monotonic() - 1, [])
    ship(world, order, "UPS", UPS)
    assert {key[0] for key in parcels.lists} == {world.connection.tiktok_shop.shop_id}


def test_a_fulfillment_of_an_order_that_is_not_ours_is_closed_after_three_looks(world):
    variant = world.store.variant("MUG-WHT").id
    draft = world.store.create_draft(lineItems=[{"variantId": variant, "quantity": 1}], tags=["somebody's"])
    other = world.store.complete_draft(draft.id)
    world.store.fulfill(other.id, company="UPS", numbers=[UPS])
    world.settle()
    for seconds in (11, 61, 601):
        world.after(seconds)
    event = InboxEvent.objects.get(topic="fulfillments/create")
    assert (event.outcome, event.due_at) == ("not ours", None)
    assert Parcel.objects.count() == 0


def test_the_newer_version_of_the_ship_call_is_used_when_the_older_is_retired(world):
    world.tiktok.settings.retired_ship_versions = ["202309"]
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    ship(world, order, "UPS", UPS)
    assert world.parcel(order).state == State.ACCEPTED


def provider_id(world: World, name: str) -> str:
    option = next(iter(world.tiktok.shops)).delivery_option_id
    listed = tiktok_for(world.connection).get_providers(option, "US", "US")
    return next(provider.id for provider in listed if provider.name == name)
