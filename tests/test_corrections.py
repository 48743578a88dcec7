"""A person puts a parcel's number or carrier right in the app, before TikTok has it and after."""

from datetime import timedelta

import pytest
from django.utils import timezone
from world import World

from connector import choices, parcels
from connector.models import Order, Parcel
from connector.states import OrderState
from connector.states import ParcelState as State
from tests.test_parcels import UPS, UPS_MORE, UPS_TOO, USPS, provider_id, ship, shipped

MISTYPED = "1Z410E7W0392751592"


def correct(world: World, parcel: Parcel, number: str, provider: str, **facts: bool) -> None:
    choices.correct_tracking(parcel, number, provider_id(world, provider), "42", **facts)
    world.settle()


def states(order: Order) -> dict[str, str]:
    return dict(Parcel.objects.filter(order=order).values_list("number", "state"))


def corrections(world: World) -> list[str]:
    return [entry["number"] for entry in world.tiktok_effects("correction")]


def test_a_number_put_right_in_the_app_goes_to_tiktok_in_the_place_of_the_stopped_one(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    ship(world, order, "UPS", MISTYPED)
    correct(world, world.parcel(order), f" {UPS[:8]} {UPS[8:]} ", "UPS")
    assert states(order) == {MISTYPED: State.REPLACED, UPS: State.ACCEPTED}
    assert shipped(world) == [(UPS, "UPS", 2)]
    assert world.order(order.tiktok_id).state == OrderState.SHIPPED
    assert [row.call for row in order.log.filter(what="chose", by="42")] == ["correct tracking"]


def test_shopify_s_old_number_told_again_does_not_undo_the_correction(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", MISTYPED)
    correct(world, world.parcel(order), UPS, "UPS")
    world.store.update_tracking(fulfillment.id, company="UPS", numbers=[MISTYPED])
    world.settle()
    assert states(order) == {MISTYPED: State.REPLACED, UPS: State.ACCEPTED}
    assert corrections(world) == []
    assert world.order(order.tiktok_id).reason == ""


def test_a_carrier_chosen_in_the_app_counts_for_this_parcel(world):
    order = world.finalized()
    ship(world, order, "Bob with a bike", "BOB-1234")
    correct(world, world.parcel(order), "BOB-1234", "Veho")
    parcel = world.parcel(order)
    assert (parcel.state, parcel.provider_name, parcel.resolved_by) == (State.ACCEPTED, "Veho", "person")
    assert shipped(world) == [("BOB1234", "Veho", 1)]


def test_a_number_that_tiktok_has_is_corrected_once(world):
    order = world.finalized()
    ship(world, order, "UPS", UPS)
    correct(world, world.parcel(order), UPS_TOO, "UPS")
    assert states(order) == {UPS: State.REPLACED, UPS_TOO: State.ACCEPTED}
    correct(world, Parcel.objects.get(number=UPS_TOO), UPS_MORE, "UPS")
    last = Parcel.objects.get(number=UPS_MORE)
    assert (last.state, last.reason) == (State.WAITING, "edit_limit")
    assert corrections(world) == [UPS_TOO]
    choices.mark_seen(last, "42")
    last.refresh_from_db()
    assert (last.state, last.reason, last.due_at) == (State.KEPT, "", None)


def test_a_carrier_put_right_after_acceptance_spends_the_correction(world):
    order = world.finalized()
    ship(world, order, "Veho", "ABCDEFGH12345678")
    correct(world, world.parcel(order), "ABCDEFGH12345678", "OSM Worldwide")
    parcel = world.parcel(order)
    assert (parcel.state, parcel.provider_name, parcel.corrections) == (State.ACCEPTED, "OSM Worldwide", 1)
    assert corrections(world) == ["ABCDEFGH12345678"]


def test_a_carrier_changed_in_shopify_afterwards_is_newer_than_a_person_s_choice(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", USPS)
    assert world.parcel(order).reason == "number_mismatch"
    correct(world, world.parcel(order), USPS, "FedEx")
    assert world.parcel(order).reason == "number_mismatch"
    world.store.update_tracking(fulfillment.id, company="USPS")
    world.settle()
    parcel = world.parcel(order)
    assert (parcel.state, parcel.provider_name, parcel.chosen_provider) == (State.ACCEPTED, "USPS", "")


def test_a_number_that_we_doubt_is_sent_when_the_person_says_it_is_right(world):
    order = world.finalized()
    ship(world, order, "Bob with a bike", "BOB-1234")
    correct(world, world.parcel(order), "1Z-NOT-REALLY-1", "Veho", anyway=True)
    assert shipped(world) == [("1ZNOTREALLY1", "Veho", 1)]


def test_a_stopped_correction_can_itself_be_corrected_in_shopify(world):
    order = world.finalized()
    fulfillment = ship(world, order, "UPS", UPS)
    for number in (MISTYPED, UPS_TOO):
        world.store.update_tracking(fulfillment.id, numbers=[number])
        world.settle()
    assert states(order) == {UPS: State.REPLACED, MISTYPED: State.REPLACED, UPS_TOO: State.ACCEPTED}
    assert corrections(world) == [UPS_TOO]


def test_a_stopped_correction_can_itself_be_corrected_in_the_app(world):
    order = world.finalized()
    ship(world, order, "UPS", UPS)
    correct(world, world.parcel(order), MISTYPED, "UPS")
    stopped = Parcel.objects.get(number=MISTYPED)
    assert (stopped.state, stopped.reason) == (State.WAITING, "number_invalid")
    correct(world, stopped, UPS_TOO, "UPS")
    assert states(order) == {UPS: State.REPLACED, MISTYPED: State.REPLACED, UPS_TOO: State.ACCEPTED}
    assert corrections(world) == [UPS_TOO]


def test_what_is_being_sent_this_moment_is_not_changed_under_the_worker(world):
    order = world.finalized()
    ship(world, order, "UPS", MISTYPED)
    parcel = world.parcel(order)
    Parcel.objects.filter(pk=parcel.pk).update(leased_until=timezone.now() + timedelta(seconds=30))
    with pytest.raises(parcels.BeingSent):
        choices.correct_tracking(parcel, UPS, "", "42")
    assert states(order) == {MISTYPED: State.WAITING}
    Parcel.objects.update(leased_until=None)


def test_trying_again_sends_what_tiktok_refused_once(world):
    order = world.finalized()
    world.tiktok.faults.add("ship", "error", code=21004016, message="Provider unavailable today")
    ship(world, order, "UPS", UPS)
    choices.retry(world.parcel(order), "42")
    world.settle()
    assert world.parcel(order).state == State.ACCEPTED


def test_a_further_number_that_a_person_has_seen_asks_no_more(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2)])
    ship(world, order, "UPS", UPS, UPS_TOO)
    kept = Parcel.objects.get(number=UPS_TOO)
    choices.mark_seen(kept, "42")
    kept.refresh_from_db()
    assert (kept.state, kept.reason) == (State.KEPT, "")
    stopped = Parcel.objects.get(number=UPS)
    choices.mark_seen(stopped, "42")
    assert not order.log.filter(call="dismiss ").exists()
