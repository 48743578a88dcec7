"""An order that TikTok has released and gives no address for: it waits, asks, and never goes unseen."""

import pytest
from world import World

from connector import choices, jobs
from connector.models import Order
from connector.progress import progress
from connector.states import OrderState as State

LOOKS = (5, 10, 45, 240)  # seconds between them: 5, 15, 60 and 300 after the first


def released_without_address(world: World) -> Order:
    tiktok_id = world.placed().tiktok_id
    world.tiktok.withhold_address(tiktok_id)
    world.tiktok.release(tiktok_id)
    world.settle()
    return world.order(tiktok_id)


def asked(world: World) -> Order:
    order = released_without_address(world)
    for seconds in LOOKS:
        assert world.order(order.tiktok_id).reason == ""
        world.after(seconds)
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason, order.due_at) == (State.ON_HOLD, "address_missing", None)
    assert world.store.orders == {}
    return order


def street_of(world: World, order: Order) -> str:
    placed = world.store.orders[world.order(order.tiktok_id).order_gid]
    return str((placed.shipping_address or {}).get("address1", ""))


@pytest.mark.parametrize("style", ["missing", "none"])
def test_an_address_that_comes_a_moment_after_the_release_is_waited_for(world, style):
    world.tiktok.settings.hold_address = style
    order = released_without_address(world)
    assert (order.state, order.addressed_as_of) == (State.ON_HOLD, None)
    world.after(5)
    assert world.store.orders == {}
    assert "not given its address yet" in str(progress(world.order(order.tiktok_id), [], order.due_at).after)
    world.tiktok.withhold_address(order.tiktok_id, on=False)
    world.after(10)
    assert world.order(order.tiktok_id).state == State.FINALIZED
    assert street_of(world, order)


def test_events_that_come_meanwhile_use_up_no_look(world):
    order = released_without_address(world)
    for _ in range(5):
        choices.look_again(order, by="7")
        world.settle()
    order = world.order(order.tiktok_id)
    assert order.reason == "" and order.due_at is not None


def test_an_address_that_does_not_come_is_asked_for_and_tiktoks_next_event_brings_it(world):
    order = asked(world)
    world.tiktok.withhold_address(order.tiktok_id, on=False)
    world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (State.FINALIZED, "")
    assert street_of(world, order) == "77 New Street"


def test_an_event_that_brings_no_address_leaves_the_question_as_it_is(world):
    order = asked(world)
    world.tiktok.change_address(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).reason == "address_missing"
    assert order.log.filter(what="asked", reason="address_missing").count() == 1


def test_a_person_completes_it_without_an_address_and_it_gets_one_when_tiktok_gives_it(world):
    order = asked(world)
    assert choices.completable(order)
    choices.complete_anyway(order, by="7")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason, order.addressed_as_of) == (State.FINALIZED, "", None)
    assert world.store.orders[order.order_gid].shipping_address is None
    world.tiktok.withhold_address(order.tiktok_id, on=False)
    world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street")
    world.settle()
    assert street_of(world, order) == "77 New Street"
    assert world.order(order.tiktok_id).addressed_as_of


def test_an_order_that_was_completed_and_shipped_by_hand_in_the_hold_gets_its_address_all_the_same(world):
    order = world.placed()
    world.pass_time(2)
    world.store.complete_draft(order.draft_gid)
    world.settle()
    order = world.order(order.tiktok_id)
    world.store.fulfill(order.order_gid, company="UPS", numbers=["1Z410E7W0392751591"])
    world.settle()
    assert street_of(world, order) == ""
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert street_of(world, order)
    assert order.reason == ""


def test_a_draft_that_has_its_address_does_not_wait_for_one_that_tiktok_no_longer_shows(world):
    world.shopify.settings.change(ready_after=1.0)
    order = world.placed()
    world.tiktok.release(order.tiktok_id)
    world.tiktok.webhooks.settle()
    while not world.order(order.tiktok_id).prepared_at:
        jobs.drain(world.shop.pk)
    world.tiktok.withhold_address(order.tiktok_id)
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED
    assert street_of(world, order)
