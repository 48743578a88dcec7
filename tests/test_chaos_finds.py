"""What `make chaos` found, each as the smallest story that shows it."""

import threading

from django.db import connections
from django.utils import timezone
from world import World

from connector import inbox, jobs, work
from connector.models import InboxEvent
from connector.states import OrderState, ParcelState

UPS = "1Z410E7W0392751591"


def test_an_address_changed_in_the_hold_is_no_news_when_the_order_is_shipped(world):
    order = world.placed()
    world.tiktok.change_address(order.tiktok_id)
    world.settle()
    world.release_hold()
    ship(world, world.order(order.tiktok_id).order_gid)
    world.after(60)
    assert world.order(order.tiktok_id).reason == ""


def test_two_doorbells_of_one_fulfillment_at_the_same_moment_make_one_parcel_and_no_bug(world):
    order = world.finalized()
    world.shopify.webhooks.drop(10)
    fulfillment = world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    for number in range(6):
        facts = {"id": fulfillment.id, "order_id": order.order_gid, "status": "SUCCESS", "n": number}
        InboxEvent.objects.create(
            source="shopify",
            topic="fulfillments/update",
            key=f"doorbell {number}",
            subject=fulfillment.id,
            shop=world.shop,
            facts=facts,
            due_at=timezone.now(),
        )
    world.shopify.settings.latency = 0.2
    together = [threading.Thread(target=answer, args=[event]) for event in InboxEvent.claim(world.shop.pk, 6)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    world.shopify.settings.latency = 0
    world.settle()
    assert world.parcel(order).state == ParcelState.ACCEPTED


def test_a_turn_that_finds_no_database_ends_quietly_because_a_queue_would_keep_its_trace(world, caplog):
    from django.conf import settings

    tiktok_id = world.tiktok.place_order()
    world.tiktok.webhooks.settle(5)
    connections.close_all()
    name, settings.DATABASES["default"]["NAME"] = settings.DATABASES["default"]["NAME"], "nowhere"
    try:
        jobs.drain(world.shop.pk)
    finally:
        settings.DATABASES["default"]["NAME"] = name
        connections.close_all()
    assert "the database went away" in caplog.text
    world.settle()
    assert world.order(tiktok_id).draft_gid


def test_an_order_paid_by_a_clock_that_is_ahead_of_ours_does_not_wait_for_it(world):
    world.tiktok.clock.advance(240)
    tiktok_id = world.tiktok.place_order(hold=False)
    world.settle()
    assert world.order(tiktok_id).state == OrderState.FINALIZED


def answer(event: InboxEvent) -> None:
    work.run(event, inbox.answer)
    connections.close_all()


def ship(world: World, order_gid: str) -> None:
    world.store.fulfill(order_gid, company="UPS", numbers=[UPS])
    world.settle()
