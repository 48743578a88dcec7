"""Bad days, each in small: two hours without webhooks, poison, storms of 429, a noisy neighbour, races, drift, a lost
grant. `make chaos full` plays two hours without webhooks, poison, the storm, the lost grant and drift with hundreds of
orders each (bench/chaos/acts.py) and has the races in its main story; the noisy neighbour has this size only.
"""

import random
import time
from collections.abc import Callable
from datetime import timedelta

import django_rq
import pytest
from django.utils import timezone
from test_recovery import one_draft_one_order, reconnect
from world import World

from connector import jobs, wake
from connector.models import Connection, Order, Parcel
from connector.states import OrderState as State
from connector.states import ParcelState
from connector.transport import session
from shopify_app.models import Shop
from tiktok import client, oauth
from tiktok.models import Seller


def silence(world: World, share: float = 1.0) -> None:
    """From now on no webhook of either platform arrives."""
    world.tiktok.webhooks.lose = share
    world.shopify.webhooks.drop_share(share)


def test_two_hours_without_a_webhook_lose_nothing(world):
    silence(world)
    ids = []
    for quarter in range(8):
        ids.append(world.tiktok.place_order())
        if quarter == 2:
            world.tiktok.cancel(ids[0])
        world.after(900)
    world.release_hold()
    live = [world.order(tiktok_id) for tiktok_id in ids[1:]]
    for order in live:
        number = world.tiktok.new_number("UPS")
        world.store.fulfill(order.order_gid, company="UPS", numbers=[number])
    world.after(301)
    assert one_draft_or_none(world, ids[0]).state == State.CANCELLED
    for order in live:
        assert one_draft_one_order(world, order.tiktok_id).state == State.SHIPPED
        assert world.parcel(order).state == ParcelState.ACCEPTED


def test_poisoned_orders_are_parked_with_their_reasons_and_cost_the_others_nothing(world):
    poisoned = {
        world.tiktok.place_order(lines=[("TT-ONLY-7", 1)]): "sku_unmapped",
        world.tiktok.place_order(payment={"sub_total": "1.00"}): "amounts_mismatch",
    }
    healthy = [world.tiktok.place_order() for _ in range(40)]
    world.settle(60)
    assert {world.order(tiktok_id).state for tiktok_id in healthy} == {State.ON_HOLD}
    assert {tiktok_id: world.order(tiktok_id).reason for tiktok_id in poisoned} == poisoned
    assert not Order.objects.filter(
        tiktok_id__in=poisoned, due_at__lt=timezone.now() + timedelta(hours=1)
    ).exists()
    assert not Order.objects.filter(tiktok_id__in=poisoned, attempts__gt=0).exists()


@pytest.mark.parametrize("platform", ["tiktok", "shopify"])
def test_a_storm_of_429_is_waited_out_without_hammering_and_counts_as_no_failure(world, platform):
    storm, over = storms(world)[platform]
    ids = [world.tiktok.place_order() for _ in range(6)]
    world.tiktok.webhooks.settle(5)
    storm()
    before = sum(world.tiktok.calls.values())
    began = time.monotonic()
    while time.monotonic() - began < 3:
        jobs.drain(world.shop.pk)
        time.sleep(0.02)
    refused = len(world.shopify.faults.struck) + len(world.tiktok.faults.struck)
    assert 0 < refused < 60
    assert sum(world.tiktok.calls.values()) - before < 60
    assert not Order.objects.exclude(failing_since=None).exists()
    over()
    world.settle(30)
    for tiktok_id in ids:
        assert one_draft_one_order(world, tiktok_id).state == State.ON_HOLD


def storms(world: World) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    tiktok, shopify = world.tiktok.faults, world.shopify.faults
    return {
        "tiktok": (lambda: tiktok.share(1.0, "429", seconds=1), tiktok.clear),
        "shopify": (lambda: shopify.chance(1.0, ("429",)), shopify.clear),
    }


def test_a_noisy_shop_does_not_keep_its_neighbour_waiting(world, settings):
    settings.DRAIN_TURN_SECONDS = 0  # one look a turn
    neighbour = second_shop(world)
    for _ in range(60):
        world.tiktok.place_order()
    quiet = world.tiktok.place_order(shop_id=neighbour.tiktok_shop.shop_id)
    assert world.tiktok.webhooks.settle(20)
    queue = django_rq.get_queue("default")
    queue.empty()
    for shop in (world.shop.pk, neighbour.shop_id):
        wake.lower(shop)
        wake.shop(shop)
    turns: list[int] = []
    while not Order.objects.filter(tiktok_id=quiet, state=State.ON_HOLD).exists():
        assert len(turns) < 10, turns
        turns.append(take_turn(queue))
    assert any(model.due().filter(shop=world.shop).exists() for model in jobs.STEPS)
    assert turns[:4] == [world.shop.pk, neighbour.shop_id] * 2
    world.settle(60)


def take_turn(queue: django_rq.queues.DjangoRQ) -> int:
    """The queue's next turn, whole. Gives its shop."""
    job = queue.jobs[0]
    queue.remove(job)
    job.perform()
    assert jobs.turns.finish(30)
    return job.args[0]


def second_shop(world: World) -> Connection:
    domain = "quiet-neighbour.myshopify.com"
    world.shopify.add_shop(domain)
    made = world.tiktok.add_seller("Quiet Neighbour")
    code = world.tiktok.consent(made["open_id"], state="-").split("code=")[1].split("&")[0]
    grant = oauth.exchange("US", code, session())
    seller = Seller.connect("US", grant, client.get_shops("US", grant.access_token, session()))
    shop = Shop.install(domain, world.shopify.id_token(domain), session())
    connection = Connection.objects.create(shop=shop, tiktok_shop=seller.shops.get(), due_at=timezone.now())
    jobs.drain(shop.pk)
    return connection


def test_a_cancel_within_two_seconds_of_finalize_never_leaves_a_live_order(world):
    chance = random.Random(4)
    ids = [world.tiktok.place_order() for _ in range(40)]
    world.settle(60)
    for tiktok_id in ids:
        released = chance.uniform(2, 5)
        world.tiktok.schedule(released, "release", order_id=tiktok_id)
        world.tiktok.schedule(released + chance.uniform(-2, 2), "cancel", order_id=tiktok_id)
    until = time.monotonic() + 7.5
    while time.monotonic() < until:
        jobs.drain(world.shop.pk)
        time.sleep(0.02)
    world.settle(30)
    world.after(31)
    for tiktok_id in ids:
        assert one_draft_or_none(world, tiktok_id).state == State.CANCELLED
    assert world.shopify_effects("order_created"), "every cancel was early: the race was never run"


def one_draft_or_none(world: World, tiktok_id: str) -> Order:
    """Of a cancelled order nothing is left that somebody could ship."""
    tag = f"tts-{tiktok_id}"
    assert not [one for one in world.store.drafts.values() if tag in one.tags and one.status == "OPEN"]
    assert not [one for one in world.store.orders.values() if tag in one.tags and not one.cancelled_at]
    return world.order(tiktok_id)


def test_what_a_merchant_does_to_drafts_is_noticed_without_a_webhook_and_never_undone(world):
    deleted, edited, completed = (world.placed() for _ in range(3))
    silence(world)
    world.store.delete_draft(deleted.draft_gid)
    world.store.edit_draft(
        edited.draft_gid, lineItems=[{"variantId": world.store.variant("MUG-WHT").id, "quantity": 9}]
    )
    world.store.complete_draft(completed.draft_gid)
    world.release_hold()
    world.after(301)
    assert world.order(deleted.tiktok_id).reason == "draft_deleted"
    assert world.order(edited.tiktok_id).reason == "draft_edited"
    assert one_draft_one_order(world, completed.tiktok_id).state == State.FINALIZED
    assert len(world.shopify_effects("draft_created")) == 3


def test_a_grant_that_was_dead_for_a_day_is_renewed_and_everything_is_caught_up(world):
    held, finalized = world.placed(), world.finalized()
    world.tiktok.deauthorize()
    world.settle()
    assert Connection.objects.get().paused_reason == "tiktok_access_lost"
    world.store.fulfill(finalized.order_gid, company="UPS", numbers=[world.tiktok.new_number("UPS")])
    new = [world.tiktok.place_order() for _ in range(5)]
    world.tiktok.cancel(new[0])
    for _ in range(4):
        world.after(6 * 3600)
    assert not Order.objects.filter(tiktok_id__in=new).exists()
    world.shopify.clock.advance(-24 * 3600)  # ours stood still: a day ahead would be Shopify's past
    time.sleep(1.1)  # a pull sees whole seconds that are over
    reconnect(world)
    world.settle(30)
    world.after(301)
    assert one_draft_one_order(world, held.tiktok_id).state == State.FINALIZED
    assert Parcel.objects.get(order=finalized).state == ParcelState.ACCEPTED
    for tiktok_id in new[1:]:
        assert one_draft_one_order(world, tiktok_id).state == State.FINALIZED
    assert not Order.objects.filter(tiktok_id=new[0]).exclude(state=State.CANCELLED).exists()
