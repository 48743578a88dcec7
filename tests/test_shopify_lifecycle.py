"""The client through the whole life of an order, against the strict sandbox with its hard defaults."""

import dataclasses
import time
from datetime import timedelta
from decimal import Decimal

import pytest
import requests
from django.utils import timezone

from shopify_app.client import Client
from shopify_app.errors import AccessLost, Rejected
from shopify_app.models import Shop
from shopify_app.orders import DraftContent, DraftLine, PostalAddress
from shopify_app.sandbox import DEMO_SHOP, ShopifySandbox

pytestmark = pytest.mark.django_db

TAG = "tts-577000000000000001"
ADDRESS = PostalAddress(
    "Ana", "Silva", "", "10 Example Street", "Apt 4", "Austin", "TX", "78701", "US", "+15125550100"
)


@pytest.fixture
def sandbox(settings):
    keys = {"api_key": settings.SHOPIFY_API_KEY, "api_secret": settings.SHOPIFY_API_SECRET}
    with ShopifySandbox(**keys, app_url="http://127.0.0.1:9") as running:
        settings.SHOPIFY_SHOP_URL = running.shop_url
        yield running
        assert running.violations == []


@pytest.fixture
def client(sandbox):
    with requests.Session() as http:
        yield Client(Shop.install(DEMO_SHOP, sandbox.id_token(), http), http)


def content(client, sandbox):
    sku = next(iter(sandbox.shop(DEMO_SHOP).variants.values())).sku
    variant = client.find_variants([sku])[0]
    return DraftContent(
        lines=(
            DraftLine(variant.id, "", sku, 2, Decimal("18.50"), {"_tiktok_line_ids": "1,2"}),
            DraftLine(None, "Gift mug", "TT-ONLY", 1, Decimal("0.00"), {"_tiktok_line_ids": "3"}),
        ),
        shipping_title="TikTok Shop shipping",
        shipping_amount=Decimal("4.99"),
        currency="USD",
        tags=("TikTok Shop", "tiktok-on-hold", TAG),
        note="on hold, do not ship",
        attributes={"tiktok_order_id": "577000000000000001"},
        reserve_until=timezone.now() + timedelta(hours=3),
    )


def wait_for(look):
    ends = time.monotonic() + 10
    while not (found := look()):
        assert time.monotonic() < ends, "nothing came within 10 seconds"
        time.sleep(0.2)
    return found


def test_an_order_lives_from_held_draft_to_its_fulfillment(client, sandbox):
    began = timezone.now() - timedelta(minutes=1)
    draft = client.create_draft(content(client, sandbox))
    assert (draft.total, draft.tax, draft.currency) == (Decimal("41.99"), Decimal(0), "USD")
    draft = client.update_draft(
        draft.id, address=ADDRESS, tags=["TikTok Shop", TAG, "merchant's own"], note="go"
    )
    assert (draft.total, draft.note) == (Decimal("41.99"), "go")
    draft = wait_for(lambda: (now := client.get_draft(draft.id)) and now.ready and now)

    done = client.complete_draft(draft.id, lines=2)
    assert (done.total, done.financial_status, done.gateways) == (Decimal("41.99"), "PAID", ("manual",))
    assert [line.attributes["_tiktok_line_ids"] for line in done.lines] == ["1,2", "3"]
    assert client.complete_draft(draft.id) == done
    assert [line.id for line in client.get_order_lines(done.id)] == [line.id for line in done.lines]
    assert client.get_draft(draft.id).order_id == done.id

    client.set_reference(done.id, {"tiktok_order_id": "577000000000000001"}, "577000000000000001")
    client.set_order_address(done.id, ADDRESS)
    client.add_tags(done.id, ["tiktok-shipped"])
    client.remove_tags(done.id, ["tiktok-shipped"])
    shipped = sandbox.shop(DEMO_SHOP).fulfill(done.id, company="UPS", numbers=["1Z999AA10123456784"])
    fulfillment = client.get_fulfillment(shipped.id)
    assert [info.number for info in fulfillment.tracking] == ["1Z999AA10123456784"]
    assert [(line.line_id, line.quantity) for line in fulfillment.lines] == [
        (done.lines[0].id, 2),
        (done.lines[1].id, 1),
    ]
    assert client.get_order_fulfillments(done.id) == [fulfillment]
    assert wait_for(lambda: client.find_orders(TAG))[0].id == done.id
    assert wait_for(lambda: client.find_drafts(TAG))[0].order_id == done.id
    page = wait_for(
        lambda: (
            (found := client.search_orders_updated("TikTok Shop", began)).orders
            and found.orders[0].fulfillments
            and found
        )
    )
    assert page.orders[0].fulfillments[0].id == fulfillment.id


def test_an_order_of_one_line_costs_53_points_after_its_sku_is_known(client, sandbox):
    whole = content(client, sandbox)
    spent = []
    client.http.hooks["response"].append(
        lambda reply, **_: spent.append(reply.json()["extensions"]["cost"]["requestedQueryCost"])
    )
    draft = client.create_draft(dataclasses.replace(whole, lines=whole.lines[:1]))
    client.update_draft(draft.id, address=ADDRESS, tags=["TikTok Shop", TAG])
    sandbox.clock.advance(5)  # `ready` comes without a read that costs points
    assert client.get_draft(draft.id).ready
    done = client.complete_draft(draft.id, lines=1)
    client.set_reference(done.id, {}, "577000000000000001")
    shipped = sandbox.shop(DEMO_SHOP).fulfill(done.id, company="UPS", numbers=["1Z999AA10123456784"])
    client.get_fulfillment(shipped.id)
    assert spent == [10, 10, 2, 14, 10, 7]


def test_a_held_draft_is_deleted_once(client, sandbox):
    draft = client.create_draft(content(client, sandbox))
    assert client.delete_draft(draft.id)
    assert not client.delete_draft(draft.id)
    assert client.get_draft(draft.id) is None


def test_an_order_is_cancelled_once_without_a_mail(client, sandbox):
    draft = client.create_draft(content(client, sandbox))
    wait_for(lambda: client.get_draft(draft.id).ready)
    done = client.complete_draft(draft.id)
    assert client.cancel_order(done.id, note="Cancelled on TikTok Shop")
    with pytest.raises(Rejected, match="pending"):
        client.cancel_order(done.id)
    wait_for(lambda: client.get_order(done.id).cancelled)
    assert client.cancel_order(done.id) == ""
    assert client.get_order(done.id).financial_status == "REFUNDED"
    assert sandbox.shop(DEMO_SHOP).mails == []


def test_set_up_calls_are_accepted(client, sandbox):
    client.ensure_metafield_definition()
    client.ensure_metafield_definition()
    made = client.create_webhook(
        "FULFILLMENTS_UPDATE", "https://app.example.com/webhooks/shopify", ["id", "updated_at"]
    )
    assert [found.id for found in client.list_webhooks()] == [made.id]
    client.delete_webhook(made.id)
    assert client.list_webhooks() == []
    assert client.search_variants("zzz-nothing") == []
    known = list(sandbox.shop(DEMO_SHOP).variants)[:3]
    gone = "gid://shopify/ProductVariant/1"
    assert [variant.id for variant in client.get_variants([*known, gone])] == known


def test_an_uninstalled_app_is_access_lost(client, sandbox):
    sandbox.shop(DEMO_SHOP).uninstall()
    with pytest.raises(AccessLost):
        client.get_draft("gid://shopify/DraftOrder/1")
