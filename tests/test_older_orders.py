"""Orders from before the connection: listed, imported or left by choice; and the permission that ends soon."""

import html
import json
import re
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from django.utils import timezone

from connector.models import Connection, InboxEvent, Order, SkuLink
from connector.states import OrderState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_pages import text
from tests.visits import Visitor
from tiktok.models import Seller


@pytest.fixture
def older(world):
    """Two open orders that were placed before the start."""
    Connection.objects.update(started_at=timezone.now() + timedelta(minutes=5))
    placed = [world.placed() for _ in range(2)]
    assert {order.state for order in placed} == {OrderState.OFFERED}
    return placed


def test_ticked_orders_are_imported_and_the_others_stay(world, older):
    visitor = Visitor(world.shop.domain)
    page = visitor.open("/orders/older").content.decode()
    assert "Import the ticked ones" in page and "Fig &amp; Fleece" in page
    response = visitor.post("/orders/older/import", order=[str(older[0].pk)])
    assert json.loads(response["HX-Trigger"])["toast"]["words"] == "1 order is being imported"
    shown = response.content.decode()
    assert older[1].tiktok_id in shown and older[0].tiktok_id not in shown
    world.settle()
    states = {order.pk: order.state for order in Order.objects.all()}
    assert states == {older[0].pk: OrderState.ON_HOLD, older[1].pk: OrderState.OFFERED}


def test_what_is_left_alone_is_no_longer_a_question(world, older):
    visitor = Visitor(world.shop.domain)
    visitor.post("/orders/older/leave", order=[str(order.pk) for order in older])
    world.settle()
    assert set(Order.objects.values_list("state", "reason")) == {(OrderState.SKIPPED, "skipped_by_person")}
    assert not world.shopify_effects("draft_created")
    assert "Nothing waits for your choice" in text(visitor.open("/orders/older"))


def test_an_older_order_that_is_in_shopify_already_is_taken_over(world, older):
    tag = f"tts-{older[0].tiktok_id}"
    variant = world.store.variant("MUG-WHT").id
    world.store.create_draft(lineItems=[{"variantId": variant, "quantity": 1}], tags=["TikTok Shop", tag])
    Visitor(world.shop.domain).post("/orders/older/import", order=[str(older[0].pk)])
    world.settle()
    drafts = [draft for draft in world.store.drafts.values() if tag in draft.tags]
    assert [draft.id for draft in drafts] == [world.order(older[0].tiktok_id).draft_gid]


def test_each_leads_to_its_page_and_shows_its_products_and_whether_they_are_linked(world):
    Connection.objects.update(started_at=timezone.now() + timedelta(minutes=5))
    order = world.placed(lines=[("TEE-BLK-M", 2), ("TT-ONLY-7", 1)])
    linked = SkuLink.objects.get(seller_sku="TEE-BLK-M")
    SkuLink.objects.filter(pk=linked.pk).update(
        variant_gid="gid://shopify/ProductVariant/1", variant_title="Black tee"
    )
    response = Visitor(world.shop.domain).open("/orders/older")
    assert f'<a href="/orders/{order.pk}">' in response.content.decode()
    shown = text(response)
    assert re.search(r"2 × [^·×]+ Linked Black tee 1 × [^·×]+ Not linked yet", shown)


@pytest.fixture
def many(db):
    """More than a page of them; the 60th is the newest."""
    connection = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    now = timezone.now()
    facts = {"reason": "older_than_connection"}
    return [
        plant(
            connection,
            f"5770000000000001{i:02}",
            OrderState.OFFERED,
            placed_at=now - timedelta(hours=60 - i),
            **facts,
        )
        for i in range(60)
    ]


def ids_on(response) -> list[str]:
    return re.findall(r'<s-checkbox name="order"[^>]* label="(\d+)"', response.content.decode())


def follow(visitor, response, rel):
    address = re.search(rf'<a rel="{rel}" href="([^"]+)"', response.content.decode())[1]
    path, _mark, query = html.unescape(address).partition("?")
    return visitor.open(path, **dict(parse_qsl(query)))


def test_older_orders_are_paged_like_the_list(many):
    visitor = Visitor(many[0].shop.domain)
    newest_first = [order.tiktok_id for order in reversed(many)]
    first = visitor.open("/orders/older")
    assert ids_on(first) == newest_first[:50]
    second = follow(visitor, first, "next")
    assert ids_on(second) == newest_first[50:]
    assert 'rel="next"' not in second.content.decode()
    assert ids_on(follow(visitor, second, "prev")) == newest_first[:50]
    assert visitor.open("/orders/older", after="nonsense").status_code == 200


def test_a_choice_on_a_further_page_stays_there_until_that_page_is_empty(many):
    visitor = Visitor(many[0].shop.domain)
    second = follow(visitor, visitor.open("/orders/older"), "next").content.decode()
    after = html.unescape(re.search(r'<input type="hidden" name="after" value="([^"]+)">', second)[1])
    stayed = visitor.post("/orders/older/leave", order=[many[9].pk, many[8].pk], after=after)
    assert ids_on(stayed) == [order.tiktok_id for order in reversed(many[:8])]
    emptied = visitor.post("/orders/older/leave", order=[order.pk for order in many[:8]], after=after)
    assert ids_on(emptied) == [order.tiktok_id for order in reversed(many[10:])]


def test_the_page_says_how_far_back_older_orders_were_looked_for(db):
    connection = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    visitor = Visitor(connection.shop.domain)
    said = "Orders that changed at TikTok within 30 days before the shop was connected are listed"
    assert said in text(visitor.open("/orders/older"))
    plant(connection, "577000000000000123", OrderState.OFFERED, reason="older_than_connection")
    assert said in text(visitor.open("/orders/older"))


def test_another_store_s_older_orders_are_neither_shown_nor_decided(db):
    mine, theirs = (
        connect(make_shop(domain=f"{name}.myshopify.com"), shop_id, name)
        for name, shop_id in (("mine", "1"), ("theirs", "2"))
    )
    order = plant(theirs, "577000000000000123", OrderState.OFFERED, reason="older_than_connection")
    visitor = Visitor(mine.shop.domain)
    assert "577000000000000123" not in visitor.open("/orders/older").content.decode()
    visitor.post("/orders/older/import", order=str(order.pk))
    order.refresh_from_db()
    assert not order.chosen
    assert visitor.post("/orders/older/delete", order=str(order.pk)).status_code == 404
    assert visitor.fetch("/orders/older/import").status_code == 405


@pytest.mark.parametrize(("days", "warned"), [(31, False), (29, True), (-1, True)])
def test_a_permission_that_ends_within_thirty_days_is_announced_with_the_way_to_renew_it(db, days, warned):
    connection = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    Seller.objects.update(refresh_expires_at=timezone.now() + timedelta(days=days))
    page = Visitor(connection.shop.domain).open("/orders").content.decode()
    assert ("permission ends on" in page) == warned
    assert ("Connect again (US shop)" in page) == warned


def test_tiktok_s_own_warning_moves_the_date(world):
    world.tiktok.authorization_expiring(in_days=10)
    world.settle()
    assert Connection.objects.get().grant_ends_soon


def test_a_pair_of_tokens_that_came_after_a_warning_moves_the_date_again_and_a_late_warning_does_not(world):
    """The seller agreed anew at TikTok: no consent of ours tells of it, the next refresh does."""
    world.tiktok.authorization_expiring(in_days=10)
    world.settle()
    seller = Seller.objects.get()
    for grant in world.tiktok.world.grants.values():
        grant.refresh_expires += 365 * 86_400
    seller.access_token(refused=seller.token)
    assert not Connection.objects.get().grant_ends_soon
    Seller.objects.update(granted_at=timezone.now() + timedelta(seconds=2))
    warned = InboxEvent.objects.filter(facts__has_key="expiration_time")
    assert warned.update(due_at=timezone.now()) == 1
    world.settle()
    assert not Connection.objects.get().grant_ends_soon
