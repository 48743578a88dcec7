"""What waits for an SKU finds it: by the webhook of a new product, else by the search of the connection's pull."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.utils import timezone
from outside_calls import name_of
from requests.adapters import HTTPAdapter

from connector import inbox
from connector.models import Connection, InboxEvent, SkuLink
from connector.states import OrderState as State
from connector.transport import session
from shopify_app.client import VARIANTS_SEARCH

SKU = "TT-ONLY-7"


class Searches(HTTPAdapter):
    """How often Shopify's variants were searched since the last reading."""

    def __init__(self, inner: HTTPAdapter) -> None:
        super().__init__()
        self.inner, self.n = inner, 0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.n += name_of(request) == VARIANTS_SEARCH.name
        return self.inner.send(request, *args, **kwargs)

    def read(self) -> int:
        n, self.n = self.n, 0
        return n


@pytest.fixture
def searches(world: Any) -> Iterator[Searches]:
    http = session()
    inner = http.get_adapter("http://")
    searches = Searches(inner)
    http.mount("http://", searches)
    yield searches
    http.mount("http://", inner)


def quiet(world) -> None:
    """Nothing but webhooks tells of anything."""
    Connection.objects.update(due_at=timezone.now() + timedelta(days=1))


def pull(world, minutes: int) -> None:
    """So long after the SKUs were looked for: a pull that finds no news of orders."""
    now = timezone.now()
    SkuLink.objects.update(matched_at=now - timedelta(minutes=minutes))
    Connection.objects.update(due_at=now, tiktok_pulled_at=now, shopify_pulled_at=now)
    world.settle()


def test_a_new_product_frees_the_orders_that_wait_for_its_sku_within_seconds(world):
    waiting, other = world.placed(lines=[(SKU, 1)]), world.placed(lines=[("TT-ONLY-8", 1)])
    quiet(world)
    world.store.add_product("Only at TikTok", [("Default", SKU, "9.00")])
    world.settle()
    assert world.order(waiting.tiktok_id).reason == "sku_unmapped"  # the search may not have it yet
    world.after(11)
    assert world.order(waiting.tiktok_id).state == State.ON_HOLD
    assert world.order(other.tiktok_id).reason == "sku_unmapped"
    assert InboxEvent.objects.get(topic="products/create").outcome == "done"


def test_a_new_product_is_found_although_the_search_lags(world):
    world.shopify.search_lag(8)
    order = world.placed(lines=[(SKU, 1)])
    quiet(world)
    world.store.add_product("Only at TikTok", [("Default", SKU, "9.00")])
    world.settle()
    world.after(11)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_product_that_nobody_waits_for_wakes_nobody(world):
    order = world.placed(lines=[(SKU, 1)])
    quiet(world)
    world.store.add_product("Cup", [("Default", "CUP", "9.00")])
    world.settle()
    assert InboxEvent.objects.get(topic="products/create").outcome == "nobody waits for it"
    assert world.order(order.tiktok_id).due_at is None


def test_a_product_of_so_many_variants_that_some_are_not_told_wakes_whatever_waits(world):
    order = world.placed(lines=[(SKU, 1)])
    quiet(world)
    world.store.add_product("Cups", [(f"{n}", f"CUP-{n}", "9.00") for n in range(100)])
    world.store.edit_variant(world.store.variant("CUP-99").id, sku=SKU)
    world.settle()
    world.after(11)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_product_that_no_webhook_told_of_frees_the_order_that_waits_for_it(world):
    order = world.placed(lines=[(SKU, 1)])
    world.shopify.webhooks.drop_share(1)
    world.store.add_product("Only at TikTok", [("Default", SKU, "9.00")])
    pull(world, minutes=14)
    assert world.order(order.tiktok_id).reason == "sku_unmapped"
    pull(world, minutes=16)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_an_sku_that_a_product_gets_later_frees_the_order_that_waits_for_it(world):
    order = world.placed(lines=[(SKU, 1)])
    world.store.add_product("Only at TikTok", [("Default", "", "9.00")])
    world.settle()
    world.store.edit_variant(world.store.variant("").id, sku=SKU)
    pull(world, minutes=16)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_a_sku_that_comes_back_unheard_frees_the_draft_whose_lines_wait_for_it(world):
    order = world.placed(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    world.shopify.webhooks.drop_share(1)
    mug = world.store.variant("MUG-WHT").id
    world.store.edit_variant(mug, sku="GONE")
    world.tiktok.cancel_lines(order.tiktok_id, [order.lines.filter(seller_sku="TEE-BLK-M")[0].tiktok_line_id])
    world.settle()
    world.release_hold()
    world.store.edit_variant(mug, sku="MUG-WHT")
    world.settle()
    assert world.order(order.tiktok_id).reason == "sku_unmapped"
    pull(world, minutes=16)
    assert world.order(order.tiktok_id).state == State.FINALIZED


def test_two_variants_of_one_sku_are_a_question_until_one_is_left(world):
    order = world.placed(lines=[{"sku": "TEE-BLK-M", "seller_sku": "DUP-1"}])
    assert order.reason == "sku_conflict"
    world.store.edit_variant(world.store.variant("DUP-1").id, sku="DUP-2")
    pull(world, minutes=16)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_however_many_orders_wait_their_skus_are_searched_by_one_call(world, searches):
    for sku in (SKU, SKU, "TT-ONLY-8", "TT-ONLY-9"):
        world.placed(lines=[(sku, 1)])
    searches.read()
    pull(world, minutes=14)
    assert searches.read() == 0
    pull(world, minutes=16)
    assert searches.read() == 1
    Connection.objects.update(due_at=timezone.now())
    world.settle()
    assert searches.read() == 0


def test_skus_that_tiktok_lists_no_more_are_searched_too(world, searches):
    order = world.placed(lines=[(SKU, 1)])
    SkuLink.objects.all().delete()
    world.shopify.webhooks.drop_share(1)
    world.store.add_product("Only at TikTok", [("Default", SKU, "9.00")])
    pull(world, minutes=16)
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_what_waits_for_other_things_costs_no_search(world, searches):
    assert world.placed(currency="EUR").reason == "currency_not_enabled"
    searches.read()
    pull(world, minutes=16)
    assert searches.read() == 0


def test_an_event_that_an_earlier_version_stored_says_nothing_of_skus(world):
    event = InboxEvent(shop=world.shop, source="shopify", key="1", topic="products/create")
    assert inbox.product_created(event) == "nobody waits for it"
