"""Who lets us in, who no longer does, and what goes on without a gap when the way is open again."""

import secrets
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from test_decisions import UPS
from test_recovery import reconnect
from world import World

from connector import clock, consent, inbox, jobs, setup, steps, work
from connector.models import RESTS_IN_PAUSE, Connection, Consent, InboxEvent, Order, Parcel
from connector.states import OrderState as State
from connector.states import ParcelState
from shopify_app.models import Shop
from tiktok.models import Seller
from tiktok.models import Shop as TikTokShop


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
    assert world.order(order.tiktok_id).last_error != RESTS_IN_PAUSE


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


def test_word_of_an_older_grant_that_comes_late_takes_no_newer_scope_away(world):
    scopes = Shop.objects.get().scopes.split(",")
    world.store.grant_scopes([scope for scope in scopes if scope != "write_draft_orders"])
    world.store.grant_scopes(scopes)
    world.settle()
    older = InboxEvent.objects.filter(topic="app/scopes_update").order_by("pk").first()
    older.wake()
    world.settle()
    assert Shop.objects.get().missing_scopes() == ()
    assert Connection.objects.get().paused_reason == ""


def test_a_row_that_pauses_just_after_the_connection_went_on_is_not_forgotten(world):
    order = world.placed()
    Order.objects.update(due_at=timezone.now())
    [held] = Order.claim(world.shop.pk, 1)
    held.connection.paused_reason = "tiktok_access_lost"  # as it was read before the pause was lifted
    work.run(held, steps.advance_order)
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.last_error, order.state) == ("", State.ON_HOLD)


def tokens() -> list[str]:
    seller = Seller.objects.get()
    return [
        seller.access_token_sealed,
        seller.refresh_token_sealed,
        seller.previous_refresh_token_sealed,
    ]


def test_tokens_that_a_seller_took_back_are_forgotten_and_a_new_consent_works(world):
    order = world.placed()
    world.tiktok.deauthorize()
    world.settle()
    assert (tokens(), Connection.objects.get().paused_reason) == (["", "", ""], "tiktok_access_lost")
    world.after(25 * 3600)
    assert Connection.objects.get().paused_reason == "tiktok_access_lost"
    reconnect(world)
    world.settle()
    world.release_hold()
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_tokens_by_which_another_shop_of_the_seller_goes_on_are_kept(world):
    other = TikTokShop.objects.create(seller=Seller.objects.get(), shop_id="7", name="Second", cipher="c")
    second = Connection.objects.create(shop=world.shop, tiktok_shop=other, prepared_at=timezone.now())
    event = InboxEvent(shop=world.shop, facts={"shop_id": world.connection.tiktok_shop.shop_id})
    event.triggered_at = timezone.now() + timedelta(seconds=2)
    inbox.tiktok_deauthorized(event)
    assert all(tokens()[:2])
    inbox.tiktok_deauthorized(InboxEvent(shop=world.shop, facts={"shop_id": second.tiktok_shop.shop_id}))
    assert tokens() == ["", "", ""]


def test_a_consent_that_came_after_the_event_was_read_keeps_its_tokens(world):
    before = Seller.objects.get()
    reconnect(world)
    before.revoke()
    assert all(tokens()[:2]) and before.revoked_at is None


def test_tokens_of_a_disconnected_shop_are_forgotten_when_all_of_it_has_arrived(world):
    order = world.finalized()
    consent.disconnect(Connection.objects.get(), "keep", "7")
    world.settle()
    Seller.objects.update(granted_at=timezone.now() - timedelta(days=2))
    clock.purge(timezone.now())
    assert all(tokens()[:2])
    Order.objects.filter(pk=order.pk).update(state=State.DELIVERED)
    clock.purge(timezone.now())
    assert tokens() == ["", "", ""]


def test_a_fresh_consent_is_kept_until_a_store_has_said_yes(world):
    consent.disconnect(Connection.objects.get(), "keep", "7")
    clock.purge(timezone.now())
    assert all(tokens()[:2])


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


# ---- connected again: who rings, and who else makes these orders ----


def connect_again(world: World) -> Connection:
    """The seller agrees once more and the merchant says yes, as the embedded page does it."""
    given = Consent(
        nonce=secrets.token_hex(8), app="US", shop=world.shop, user="7", returned_at=timezone.now()
    )
    code = world.tiktok.consent(state="-").split("code=")[1].split("&")[0]
    consent.keep_code(given, code)
    consent.exchange(given)
    [connection] = consent.confirm(given, given.shop_ids, [])
    return connection


def rivals_order(world: World, tag: str = "skuiq") -> str:
    """An order that another app made in the store."""
    variant = world.store.variant("MUG-WHT").id
    draft = world.store.create_draft(lineItems=[{"variantId": variant, "quantity": 1}], tags=[tag])
    return str(world.store.complete_draft(draft.id).name)


def made_earlier(world: World, by: timedelta) -> None:
    """What the store has was made so long before."""
    for order in world.store.orders.values():
        order.created_at -= by
        world.store.index(order)


def not_prepared(world: World) -> None:
    """As after a consent, with the next pull still to come."""
    Connection.objects.update(prepared_at=None, due_at=timezone.now() + timedelta(hours=1))


def pull_now(world: World) -> None:
    Connection.objects.update(due_at=timezone.now())
    world.settle()


def rung_for(world: World) -> set[str]:
    return {topic for _, _, topic in world.tiktok.world.hooks}


def test_connecting_again_registers_what_tiktok_does_not_ring_for_and_asks_the_setup_anew(world):
    checked_at = Connection.objects.get().setup_checked_at
    world.tiktok.world.hooks.clear()
    connect_again(world)
    world.settle()
    assert rung_for(world) == set(setup.TOPICS)
    connection = Connection.objects.get()
    assert connection.setup_checked_at > checked_at and connection.setup["webhooks"] == {"missing": []}
    assert connection.setup_wanted_at is None and connection.prepared_at is not None


def test_what_tiktok_refused_to_ring_for_is_asked_for_again_at_the_next_check(world):
    world.tiktok.world.hooks.clear()
    time.sleep(0.7)  # until the budget of writes is whole again
    world.tiktok.faults.add("set_webhook", "error", code=36009009, message="Refused")
    connect_again(world)
    world.settle()
    connection = Connection.objects.get()
    assert connection.setup["webhooks"] == {"missing": [setup.TOPICS[0]]}
    assert rung_for(world) == set(setup.TOPICS[1:])
    world.after(24 * 3600 + 1)
    assert rung_for(world) == set(setup.TOPICS)
    assert Connection.objects.get().setup["webhooks"] == {"missing": []}


def test_a_setup_that_is_wanted_again_during_its_check_is_checked_again(world):
    Connection.objects.update(setup_wanted_at=timezone.now(), due_at=timezone.now())
    [checking] = Connection.claim(world.shop.pk, 1)
    setup.ask(world.connection)
    setup.check(checking)
    checking.release(None)
    assert Connection.objects.get().setup_wanted_at is not None
    world.settle()
    assert Connection.objects.get().setup_wanted_at is None


def test_connecting_again_looks_for_a_connector_that_came_meanwhile_and_stops_only_new_orders(world):
    known = world.placed()
    name = rivals_order(world)
    connect_again(world)
    new = world.placed()
    assert Connection.objects.get().other_connector == {"tag": "skuiq", "order": name}
    assert (new.state, new.reason) == (State.RECEIVED, "other_connector")
    world.release_hold()
    assert world.order(known.tiktok_id).state == State.FINALIZED


def test_an_app_installed_again_looks_for_a_connector_that_came_meanwhile(world):
    rivals_order(world)
    world.store.uninstall()
    world.settle()
    assert Client().get("/", {"id_token": world.shopify.id_token()}).status_code == 200
    assert world.placed().reason == "other_connector"


def test_a_connector_that_is_gone_holds_nothing_up_after_connecting_again(worlds):
    world = worlds(other_connector="skuiq")
    asking = world.placed()
    assert asking.reason == "other_connector"
    made_earlier(world, timedelta(days=8))
    connect_again(world)
    world.settle()
    assert Connection.objects.get().other_connector == {}
    assert world.order(asking.tiktok_id).reason == ""


def test_a_connector_that_a_person_said_is_off_asks_again_only_when_it_went_on(worlds):
    world = worlds(other_connector="skuiq")
    made_earlier(world, timedelta(minutes=1))
    consent.go_on(Connection.objects.get(), "7")
    connect_again(world)
    assert world.placed().state == State.ON_HOLD
    assert Connection.objects.get().other_connector_accepted_at is not None
    rivals_order(world)
    connect_again(world)
    assert world.placed().reason == "other_connector"


def test_an_order_waits_for_the_look_and_comes_in_as_soon_as_nobody_was_found(world):
    not_prepared(world)
    order = world.placed()
    assert (order.state, order.draft_gid, order.tiktok_status) == (State.RECEIVED, "", "ON_HOLD")
    world.after(120)
    assert world.order(order.tiktok_id).draft_gid == ""
    pull_now(world)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_an_order_that_waited_for_the_look_asks_a_person_when_somebody_was_found(world):
    not_prepared(world)
    order = world.placed()
    rivals_order(world, "tiktokpos")
    pull_now(world)
    assert world.order(order.tiktok_id).reason == "other_connector"
    assert [draft for draft in world.store.drafts.values() if f"tts-{order.tiktok_id}" in draft.tags] == []


def test_an_order_whose_step_began_before_the_look_is_woken_by_it(world):
    order = world.placed(lines=[("NO-SUCH-SKU", 1)])
    Order.objects.update(due_at=timezone.now(), reason="")
    not_prepared(world)
    [early] = Order.claim(world.shop.pk, 1)
    assert early.connection.prepared_at is None  # as it reads its connection now
    Connection.objects.update(due_at=timezone.now())
    jobs.drain(world.shop.pk)
    work.run(early, steps.advance_order)
    assert Order.objects.get(pk=order.pk).due_at <= timezone.now()


def test_an_order_that_shopify_lets_nobody_look_for_is_a_persons_turn_after_a_day(world):
    world.shopify.faults.add("orders", "503", times=1000)
    connect_again(world)
    order = world.placed()
    world.after(23 * 3600)
    assert (order.state, world.order(order.tiktok_id).reason) == (State.RECEIVED, "")
    world.after(3601)
    assert world.order(order.tiktok_id).reason == "unavailable_too_long"


@pytest.mark.parametrize("kind", ["503", "400"])
def test_known_orders_are_followed_while_shopify_lets_nobody_look(world, kind):
    known = world.placed()
    world.tiktok.webhooks.drop(1)
    world.tiktok.cancel(known.tiktok_id)
    world.shopify.faults.add("orders", kind, times=1000)
    connect_again(world)
    world.settle()
    new = world.placed()
    assert world.order(known.tiktok_id).state == State.CANCELLED
    assert (new.state, new.draft_gid) == (State.RECEIVED, "")
    world.shopify.faults.clear()
    world.after(16 * 60)
    assert world.order(new.tiktok_id).draft_gid


def test_a_definition_that_shopify_refuses_stops_no_pull_and_is_asked_for_again(world):
    world.shopify.faults.add("metafieldDefinitionCreate", "400", times=2)
    connect_again(world)
    world.tiktok.webhooks.drop(1)
    tiktok_id = world.tiktok.place_order()
    world.settle()
    assert world.order(tiktok_id).state == State.ON_HOLD
    assert "refused" in Connection.objects.get().setup["reference"]
    world.after(24 * 3600 + 1)
    assert Connection.objects.get().setup["reference"] == {}


def test_the_definition_stands_before_the_first_order_comes_in(world):
    world.store.record.definitions.clear()
    Connection.objects.update(prepared_at=None, setup_checked_at=timezone.now(), due_at=timezone.now())
    world.settle()
    assert Connection.objects.get().prepared_at
    assert [definition.key for definition in world.store.record.definitions] == ["tiktok_order_id"]


def test_a_definition_that_shopify_does_not_answer_about_holds_the_imports_up_for_a_minute_at_most(world):
    world.shopify.faults.add("metafieldDefinitionCreate", "500", times=100)
    Connection.objects.update(prepared_at=None, due_at=timezone.now())
    order = world.placed()
    assert (order.state, order.draft_gid) == (State.RECEIVED, "")
    for _ in range(3):
        world.after(61)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


# ---- a TikTok shop that moved, or was disconnected, with orders in flight ----


def moved(world: World) -> Shop:
    """Another store takes the TikTok shop over."""
    other = Shop.objects.create(domain="other-store.myshopify.com", currencies=["USD"])
    consent.turn_off(Connection.objects.get(), "7", moved_to=other.domain)
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
    consent.disconnect(Connection.objects.get(), "keep", "7")
    world.shopify.webhooks.drop(20)
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.after(301)
    assert world.parcel(order).state == ParcelState.ACCEPTED
    world.after(301)
    assert Connection.objects.get().due_at is None


def test_a_disconnected_shop_takes_no_new_orders(world):
    consent.disconnect(Connection.objects.get(), "keep", "7")
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
