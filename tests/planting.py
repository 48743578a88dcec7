"""Rows as the connector would have left them, planted without either platform."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from connector.models import (
    Alert,
    Audit,
    CarrierLink,
    Connection,
    ConnectionLog,
    Consent,
    InboxEvent,
    Order,
    OrderLine,
    Parcel,
    SkuLink,
)
from connector.states import OrderState
from tiktok.models import Seller
from tiktok.models import Shop as TikTokShop

PLACED = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)


def connect(shop, shop_id, name):
    now = timezone.now()
    seller = Seller.objects.create(
        app="US",
        open_id=f"open-{shop_id}",
        access_expires_at=now + timedelta(days=7),
        refresh_expires_at=now + timedelta(days=300),
        granted_at=now,
    )
    tiktok_shop = TikTokShop.objects.create(seller=seller, shop_id=shop_id, name=name, region="US")
    return Connection.objects.create(shop=shop, tiktok_shop=tiktok_shop, prepared_at=now)


def plant(connection, tiktok_id, state=OrderState.ON_HOLD, **facts):
    """An order row with what its state needs."""
    in_shopify = {"order_gid": f"gid://shopify/Order/1{tiktok_id}", "order_name": f"#1{tiktok_id[-3:]}"}
    draft = {"draft_gid": f"gid://shopify/DraftOrder/2{tiktok_id}", "draft_name": f"#D{tiktok_id[-3:]}"}
    needs = {OrderState.ON_HOLD: draft, OrderState.FINALIZED: in_shopify, OrderState.SHIPPED: in_shopify}
    money = {"expected_total": Decimal("1234.50"), "currency": "USD", "placed_at": PLACED}
    return Order.objects.create(
        shop=connection.shop,
        connection=connection,
        tiktok_id=tiktok_id,
        state=state,
        **(needs.get(state, {}) | money | facts),
    )


def plant_one_of_each(shop):
    """A row of every kind that belongs to the shop, by the names that addresses have for their keys."""
    connection = connect(shop, "7495000000000000001", "Fig and Fleece")
    held = plant(
        connection, "577000000000000123", OrderState.FINALIZED, order_name="#1123", reason="sku_unmapped"
    )
    older_one = plant(connection, "577000000000000124", OrderState.OFFERED)
    parcel = Parcel.objects.create(
        shop=connection.shop,
        order=held,
        fulfillment_gid="gid://shopify/Fulfillment/1",
        number="1Z999",
        company="UPS",
        reason="carrier_unknown",
    )
    OrderLine.objects.create(order=held, tiktok_line_id="1", seller_sku="LINEN-TEE")
    sku = SkuLink.objects.create(connection=connection, sku_id="1729", seller_sku="LINEN-TEE")
    CarrierLink.objects.create(connection=connection, company="ups", provider_id="1")
    ConnectionLog.objects.create(connection=connection, by="42", changes={"note": ["", "Fig and Fleece"]})
    now = timezone.now()
    Audit.objects.create(
        shop=connection.shop,
        connection=connection,
        day=timezone.localdate(),
        since=now,
        until=now,
        finished_at=now,
    )
    consent = Consent.objects.create(
        nonce="n", shop=connection.shop, user="42", ticket="TICKETOFTHEFIRST", returned_at=now
    )
    Alert.objects.create(connection=connection, kind="paused", since=now)
    InboxEvent.objects.create(shop=shop, source="shopify", key="planted", topic="products/create")
    return {
        "connection_id": connection,
        "order_id": held,
        "older": older_one,
        "parcel_id": parcel,
        "sku_key": sku,
        "consent": consent,
    }
