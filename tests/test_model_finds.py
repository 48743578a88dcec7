"""What the model found, each as the smallest story that shows it."""

import time

from test_model import TimeMachine, in_a_thread, meanwhile  # noqa: F401  (a fixture)
from test_recovery import drain_as_a_worker, reconnect
from world import World

from connector import jobs
from connector.models import Connection
from connector.states import OrderState as State
from connector.states import ParcelState


def test_word_of_a_lost_grant_that_comes_after_the_new_grant_pauses_nothing(world: World):
    world.tiktok.webhooks.pause()
    world.tiktok.deauthorize()
    time.sleep(1.1)  # TikTok counts whole seconds
    reconnect(world)
    world.tiktok.webhooks.resume()
    world.settle()
    assert Connection.objects.get().paused_reason == ""
    assert world.placed().state == State.ON_HOLD


def test_a_worker_that_was_overtaken_puts_no_old_address_over_a_newer_one(hard_world, meanwhile, monkeypatch):  # noqa: F811
    world, machine = hard_world, TimeMachine(monkeypatch)
    order = world.placed()
    world.shopify.settings.change(ready_after=5.0)

    def another_worker_takes_the_row() -> None:
        world.tiktok.change_address(order.tiktok_id, address_line1="77 New Street")
        machine.forward(world, 31)
        in_a_thread(drain_as_a_worker, world.shop.pk)

    world.tiktok.release(order.tiktok_id)
    with meanwhile.the_next("draft_get", another_worker_takes_the_row):
        world.tiktok.webhooks.settle(5)
        jobs.drain(world.shop.pk)
        assert meanwhile.deed is None
    machine.forward(world, 20)
    world.settle()
    [placed] = world.store.orders.values()
    assert (placed.shipping_address or {})["address1"] == "77 New Street"


def test_an_order_completed_and_partly_shipped_by_hand_in_the_hold_gets_its_address_with_the_release(
    world: World,
):
    order = world.placed(lines=[("MUG-WHT", 2)])
    world.store.complete_draft(order.draft_gid)
    world.settle()
    [placed] = world.store.orders.values()
    world.store.fulfill(placed.id, {placed.lines[0].id: 1}, "UPS", [world.tiktok.new_number("UPS")])
    world.settle()
    world.tiktok.release(order.tiktok_id)
    world.settle()
    street = world.tiktok.order(order.tiktok_id).buyer.address_line1
    assert (placed.shipping_address or {}).get("address1") == street
    assert world.parcel(order).state == ParcelState.ACCEPTED
