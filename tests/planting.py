"""Rows as the connector would have left them, planted without either platform."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from connector.models import Connection, Order
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
    return Connection.objects.create(shop=shop, tiktok_shop=tiktok_shop)


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
