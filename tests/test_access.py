"""Who lets us in, who no longer does, and what goes on without a gap when the way is open again."""

from datetime import timedelta

from django.test import Client
from django.utils import timezone
from test_decisions import UPS
from world import World

from connector import clock, consent, jobs, steps, work
from connector.models import PAUSED, Connection, Order, Parcel
from connector.states import OrderState as State
from connector.states import ParcelState
from shopify_app.models import Shop
from tiktok.models import Seller


def test_a_reinstalled_app_goes_on_with_the_merchants_first_look(world):
    order = world.placed()
    world.store.uninstall()
    world.settle()
    assert Connection.objects.get().paused_reason == "uninstalled"
    assert Client().get("/", {"id_token": world.shopify.id_token()}).status_code == 200
    world.release_hold()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_a_frozen_store_is_asked_once_a_day_and_goes_on_when_it_thaws(world):
    order = world.placed()
    world.shopify.faults.add("draftOrder", "402")
    world.release_hold()
    assert Connection.objects.get().paused_reason == "shopify_access_lost"
    world.after(3600)
    assert Connection.objects.get().paused_reason == "shopify_access_lost"
    world.after(24 * 3600)
    assert Connection.objects.get().paused_reason == ""
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_a_store_that_stays_frozen_stays_paused_and_is_asked_again_the_next_day(world):
    world.shopify.faults.add("draftOrderCreate", "423")
    order = world.placed()
    world.shopify.faults.add("*", "423", times=1)
    world.after(25 * 3600)
    assert Connection.objects.get().paused_reason == "shopify_access_lost"
    world.after(25 * 3600)
    assert Connection.objects.get().paused_reason == ""
    assert world.order(order.tiktok_id).last_error != PAUSED


def test_a_scope_granted_again_lifts_the_pause_by_itself(world):
    scopes = Shop.objects.get().scopes.split(",")
    world.store.grant_scopes([scope for scope in scopes if scope != "write_draft_orders"])
    world.settle()
    order = world.placed()
    assert Connection.objects.get().paused_reason == "shopify_access_lost"
    world.store.grant_scopes(scopes)
    world.settle()
    assert Connection.objects.get().paused_reason == ""
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_row_that_pauses_just_after_the_connection_went_on_is_not_forgotten(world):
    order = world.placed()
    Order.objects.update(due_at=timezone.now())
    [held] = Order.claim(world.shop.pk, 1)
    held.connection.paused_reason = "tiktok_access_lost"  # as it was read before the pause was lifted
    work.run(held, steps.advance_order)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.last_error, order.state) == ("", State.ON_HOLD)


def test_a_consent_elsewhere_that_changed_the_ciphers_stops_nothing(world):
    held = world.placed()
    world.tiktok.grant()  # the seller agreed once more, and nobody came back to us
    finalized = world.finalized()
    assert world.order(held.tiktok_id).state == finalized.state == State.FINALIZED
    assert Connection.objects.get().paused_reason == ""


# ---- a page or a registration that TikTok no longer takes ----


def test_a_page_that_tiktok_no_longer_knows_makes_the_pull_begin_again(world):
    world.tiktok.webhooks.drop(5)
    tiktok_id = world.tiktok.place_order()
    Connection.objects.update(
        tiktok_until=timezone.now(), tiktok_page="a token of last month", due_at=timezone.now()
    )
    world.tiktok.faults.add("search_orders", "error", code=36009010, message="Invalid page token")
    world.settle()
    assert Connection.objects.get().tiktok_page == ""
    world.after(16 * 60)
    assert world.order(tiktok_id).state == State.ON_HOLD


def test_orders_are_pulled_although_tiktok_refuses_to_ring(world):
    Connection.objects.update(prepared_at=None, due_at=timezone.now(), tiktok_pulled_at=None)
    world.tiktok.webhooks.drop(5)
    tiktok_id = world.tiktok.place_order()
    world.tiktok.faults.add("get_webhooks", "error", code=36009009, message="Refused")
    world.settle()
    assert world.order(tiktok_id).state == State.ON_HOLD


# ---- a TikTok shop that moved, or was disconnected, with orders in flight ----


def moved(world: World) -> Shop:
    """Another store takes the TikTok shop over."""
    other = Shop.objects.create(domain="other-store.myshopify.com", currencies=["USD"])
    consent.turn_off(Connection.objects.get(), moved_to=other.domain)
    Connection.objects.create(shop=other, tiktok_shop=world.connection.tiktok_shop, due_at=None)
    return other


def test_a_finalized_order_of_the_former_store_still_gets_its_tracking_and_hears_of_its_end(world):
    first, second = world.finalized(), world.finalized()
    moved(world)
    world.store.fulfill(first.order_gid, company="UPS", numbers=[UPS])
    world.tiktok.cancel(second.tiktok_id, by="SELLER")
    settle_all(world)
    assert Order.objects.get(pk=first.pk).state == State.SHIPPED
    assert Parcel.objects.get(order=first).state == ParcelState.ACCEPTED
    assert Order.objects.get(pk=second.pk).state == State.CANCELLED


def test_a_disconnected_shops_fulfillment_that_nobody_told_us_of_is_still_found(world):
    order = world.finalized()
    consent.disconnect(Connection.objects.get(), "keep")
    world.shopify.webhooks.drop(20)
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.after(301)
    assert world.parcel(order).state == ParcelState.ACCEPTED
    world.after(301)
    assert Connection.objects.get().due_at is None


def test_a_disconnected_shop_takes_no_new_orders(world):
    consent.disconnect(Connection.objects.get(), "keep")
    world.tiktok.place_order()
    world.settle()
    assert Order.objects.count() == 0


def settle_all(world: World) -> None:
    for _ in range(5):
        assert world.tiktok.webhooks.settle(5)
        assert world.shopify.webhooks.wait_until_quiet(5)
        for shop in Shop.objects.all():
            jobs.drain(shop.pk)


def test_forgetting_a_seller_whom_nobody_connected_leaves_the_others(world):
    long_ago = timezone.now() - timedelta(days=3)
    stranger = Seller.objects.create(
        app="US", open_id="o-2", access_expires_at=long_ago, refresh_expires_at=long_ago, granted_at=long_ago
    )
    stranger.shops.create(shop_id="9", cipher="-")
    mine = Seller.objects.exclude(pk=stranger.pk).get()
    mine.shops.create(shop_id="10", cipher="-")
    Seller.objects.update(granted_at=long_ago)
    clock.purge(timezone.now())
    assert list(Seller.objects.all()) == [mine]
    assert mine.shops.count() == 2
