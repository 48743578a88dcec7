"""A recipient's address that changes: Shopify gets the new one once, or a person hears of it once."""

import time
from typing import Any

import pytest
from django.utils import timezone
from test_model import in_a_thread, meanwhile  # noqa: F401  (a fixture)
from test_recovery import drain_as_a_worker
from world import World

from connector import choices, jobs
from connector.models import Connection, InboxEvent, Order
from connector.states import OrderState as State

UPS = "1Z410E7W0392751591"
ASKED = "address_changed_after_shipped"


def address_of(world: World, order: Order) -> str:
    return str(
        (world.store.orders[world.order(order.tiktok_id).order_gid].shipping_address or {})["address1"]
    )


def addressings(order: Order) -> int:
    """How often we gave the Shopify order an address after it was made."""
    wrote = order.log.filter(call="orderUpdate").values_list("detail", flat=True)
    return sum("address" in detail.get("changed", []) for detail in wrote)


def moves_in(world: World, order: Order, street: str) -> None:
    world.tiktok.change_address(order.tiktok_id, address_line1=street)


def fulfil(world: World, order: Order) -> Any:
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    return fulfillment


def keep_looking(world: World, order: Order) -> None:
    """Every look that a person and a pull may cause."""
    for _ in range(3):
        choices.look_again(order, by="7")
        Connection.objects.update(tiktok_pulled_at=None, due_at=timezone.now())
        world.settle()


def work_unheard(world: World) -> None:
    """Do what is due while TikTok's webhooks are held back."""
    for _ in range(10):
        jobs.drain(world.shop.pk)
        world.shopify.webhooks.wait_until_quiet(5)


def unheard(world: World, order: Order, street: str) -> None:
    """A change that nobody rings for."""
    world.tiktok.webhooks.drop(1)
    moves_in(world, order, street)


# ---- before anything is shipped ----


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("moves", [False, True], ids=["update time stands", "update time moves"])
def test_webhook_3_alone_brings_every_new_address_however_tiktok_marks_it(world, marked, moves):
    world.tiktok.settings.mark_new_addresses = marked
    world.tiktok.settings.address_moves_update_time = moves
    order = world.finalized()
    for street in ("77 New Street", "78 New Street"):
        moves_in(world, order, street)
        world.settle()
        assert address_of(world, order) == street
    keep_looking(world, order)
    assert addressings(order) == 2


def test_a_new_address_without_a_flat_number_does_not_keep_the_former_one(world):
    order = world.finalized(buyer={"address_line2": "Apt 4"})
    placed = world.store.orders[order.order_gid]
    assert placed.shipping_address["address2"] == "Apt 4"
    world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street", address_line2="")
    world.settle()
    told = placed.shipping_address
    assert (told["address1"], told["address2"]) == ("77 New Street", None)


def test_a_released_draft_that_has_its_address_gets_the_new_one_before_it_is_completed(world):
    world.shopify.settings.change(ready_after=20.0)
    order = world.placed(buyer={"address_line2": "Apt 4"})
    world.tiktok.release(order.tiktok_id)
    wait_until_addressed(world, order)
    world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street", address_line2="")
    world.tiktok.webhooks.settle()
    jobs.drain(world.shop.pk)
    assert world.order(order.tiktok_id).state == State.ON_HOLD
    for told in (
        world.store.drafts[order.draft_gid].shipping_address,
        world.store.drafts[order.draft_gid].billing_address,
    ):
        assert (told["address1"], told["address2"]) == ("77 New Street", None)
    world.shopify.settings.change(ready_after=0.0)
    world.after(30)
    assert address_of(world, order) == "77 New Street"
    keep_looking(world, order)
    assert addressings(order) == 0


def wait_until_addressed(world: World, order: Order) -> None:
    world.tiktok.webhooks.settle()
    jobs.drain(world.shop.pk)
    assert world.order(order.tiktok_id).prepared_at and not world.order(order.tiktok_id).order_gid


def test_a_mark_that_appears_is_enough_where_the_webhook_was_lost(world):
    order = world.placed(hold=False)
    unheard(world, order, "77 New Street")
    world.after(31)
    assert address_of(world, order) == "77 New Street"
    keep_looking(world, order)
    assert addressings(order) == 1


def test_the_pull_sees_a_mark_that_appeared_although_the_update_time_stands(world):
    order = world.placed(hold=False)
    world.after(31)
    keep_looking(world, order)
    unheard(world, order, "77 New Street")
    Connection.objects.update(tiktok_pulled_at=None, due_at=timezone.now())
    world.settle()
    assert address_of(world, order) == "77 New Street"
    keep_looking(world, order)
    assert addressings(order) == 1


def test_an_address_that_changes_between_our_reading_and_our_writing_does_not_stay_old(world, meanwhile):  # noqa: F811
    world.tiktok.settings.mark_new_addresses = False
    order = world.finalized()
    moves_in(world, order, "77 New Street")

    def it_changes_again_and_the_event_is_answered() -> None:
        moves_in(world, order, "78 New Street")
        world.tiktok.webhooks.settle()
        in_a_thread(drain_as_a_worker, world.shop.pk)
        assert not InboxEvent.objects.filter(done_at=None).exists()

    world.tiktok.webhooks.settle()
    with meanwhile.the_next("GET /order/202507/orders", it_changes_again_and_the_event_is_answered):
        jobs.drain(world.shop.pk)
        assert meanwhile.deed is None
    world.settle()
    assert address_of(world, order) == "78 New Street"


def test_an_order_whose_update_time_tiktok_left_out_is_addressed_once(world):
    order = world.placed()
    world.tiktok.release(order.tiktok_id)
    world.answers_once(order.tiktok_id, update_time=None)
    world.settle()
    assert world.order(order.tiktok_id).state == State.FINALIZED
    keep_looking(world, order)
    assert addressings(order) == 0


# ---- when a parcel is on its way ----


def test_a_new_address_is_told_for_each_change_once_the_parcel_is_sent(world):
    order = world.finalized()
    fulfil(world, order)
    for street in ("77 New Street", "78 New Street"):
        moves_in(world, order, street)
        world.settle()
        assert world.order(order.tiktok_id).reason == ASKED
        choices.dismiss(world.order(order.tiktok_id), by="7")
        world.settle()
        assert world.order(order.tiktok_id).reason == ""
    keep_looking(world, order)
    assert world.order(order.tiktok_id).reason == ""
    assert addressings(order) == 0


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_a_webhook_that_comes_late_says_nothing_of_a_parcel_that_went_to_its_address(world, marked):
    world.tiktok.settings.mark_new_addresses = marked
    tiktok_id = world.tiktok.place_order(hold=False)
    world.tiktok.webhooks.settle()
    world.tiktok.webhooks.pause()
    world.tiktok.change_address(tiktok_id, address_line1="77 New Street")
    time.sleep(1.1)  # TikTok counts whole seconds
    work_unheard(world)
    order = world.order(tiktok_id)
    assert address_of(world, order) == "77 New Street"
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    work_unheard(world)
    assert world.parcel(order).accepted_at
    world.tiktok.webhooks.resume()
    world.tiktok.webhooks.replay()
    world.settle()
    choices.look_again(order, by="7")
    world.settle()
    assert InboxEvent.objects.filter(topic="RECIPIENT_ADDRESS_UPDATE").exists()
    assert world.order(tiktok_id).reason == ""


def test_a_mark_that_appears_on_a_shipped_order_is_told_once_and_its_late_webhook_says_no_more(world):
    order = world.placed(hold=False)
    fulfil(world, order)
    world.tiktok.webhooks.pause()
    moves_in(world, order, "77 New Street")
    time.sleep(1.1)  # TikTok counts whole seconds
    choices.look_again(order, by="7")
    work_unheard(world)
    assert world.order(order.tiktok_id).reason == ASKED
    choices.dismiss(world.order(order.tiktok_id), by="7")
    world.tiktok.webhooks.resume()
    world.settle()
    assert world.order(order.tiktok_id).reason == ""


def test_a_fulfillment_that_is_cancelled_before_tiktok_heard_of_it_gives_the_new_address_its_way(world):
    order = world.finalized()
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=["1Z410E7W0392751592"])
    world.settle()
    moves_in(world, order, "77 New Street")
    world.settle()
    assert world.order(order.tiktok_id).reason == ASKED
    world.store.cancel_fulfillment(fulfillment.id)
    world.settle()
    choices.look_again(world.order(order.tiktok_id), by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == ""
    assert address_of(world, order) == "77 New Street"


def test_an_event_that_was_forgotten_long_ago_leaves_what_it_said_with_the_order(world):
    order = world.finalized()
    fulfil(world, order)
    moves_in(world, order, "77 New Street")
    world.settle()
    InboxEvent.objects.all().delete()
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).reason == ASKED
