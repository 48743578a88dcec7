"""An order for a support request: plain text with ids, states, times and both platforms' words. Nothing personal.

What it says comes from our rows, and those hold nothing of a buyer.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from connector.models import Order, OrderLog, Parcel

ORDER = (
    "tiktok_id",
    "state",
    "reason",
    "detail",
    "tiktok_status",
    "cancelled_by",
    "cancel_reason",
    "kinds",
    "draft_gid",
    "draft_name",
    "order_gid",
    "order_name",
    "currency",
    "expected_total",
    "placed_at",
    "paid_at",
    "release_at",
    "tiktok_updated_at",
    "finalized_at",
    "ship_by_at",
    "due_at",
    "attempts",
    "failing_since",
    "last_error",
    "create_tries",
    "shopify_state",
    "flags",
    "dismissed",
)
PARCEL = (
    "number",
    "state",
    "reason",
    "detail",
    "company",
    "provider_name",
    "provider_id",
    "resolved_by",
    "verdict",
    "anyway",
    "package_id",
    "warning",
    "corrections",
    "sent_at",
    "accepted_at",
    "due_at",
    "attempts",
    "last_error",
)
LOG = ("what", "call", "old", "new", "reason", "detail")


def diagnostics(order: Order, parcels: Sequence[Parcel], log: Iterable[OrderLog]) -> str:
    """Every fact on a line of its own, times in UTC."""
    shop = order.connection.tiktok_shop
    blocks = [
        [f"store: {order.shop.domain}", f"tiktok shop: {shop.shop_id} ({shop.region})"],
        [f"paused: {order.connection.paused_reason}"] if order.connection.paused_reason else [],
        stated(order, ORDER),
        *(
            [f"parcel {parcel.fulfillment_name or parcel.fulfillment_gid}", *stated(parcel, PARCEL)]
            for parcel in parcels
        ),
        ["log", *(f"{written(row.at)} {' '.join(values(row, LOG))}" for row in log)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def stated(row: Any, names: Sequence[str]) -> list[str]:
    return [
        f"{name}: {written(value)}"
        for name in names
        if (value := getattr(row, name)) not in (None, "", [], {})
    ]


def values(row: Any, names: Sequence[str]) -> list[str]:
    return [written(value) for name in names if (value := getattr(row, name)) not in (None, "", [], {})]


def written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)
