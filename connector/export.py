"""The list of orders as a CSV file, row by row: ids, states, money, goods and tracking. Nothing personal is known."""

import csv
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from itertools import groupby
from typing import Any

from django.db.models import Prefetch, QuerySet

from connector.deadlines import ship_by
from connector.models import Order, OrderLine, Parcel
from connector.reasons import reason

AT_ONCE = 1000  # orders in memory
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets would run


def csv_of(orders: QuerySet[Order], zone: tzinfo) -> Iterator[str]:
    """The file's lines, the heading first; times in the shop's zone."""
    write = csv.writer(Echo()).writerow
    yield write(COLUMNS)
    parcels = Prefetch("parcels", Parcel.objects.order_by("pk"))
    lines = Prefetch("lines", OrderLine.objects.order_by("pk"))
    rows = orders.select_related("connection__tiktok_shop").prefetch_related(lines, parcels)
    for order in rows.order_by("-placed_at", "-id").iterator(chunk_size=AT_ONCE):
        yield write([cell(value(order), zone) for value in COLUMNS.values()])


class Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def cell(value: Any, zone: tzinfo) -> str:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    return inert("" if value is None else str(value))


def inert(text: str) -> str:
    """A cell's text, which a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(FORMULA) else text


def plain(text: str) -> str:
    """The text without what made it inert, and without spaces around."""
    text = text.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def goods(order: Order) -> str:
    """Quantity and SKU of every line that is not cancelled."""
    units: list[Any] = [vars(line) for line in order.lines.all()] or order.money.get("lines", [])
    skus = sorted(unit["seller_sku"] or unit["sku_id"] for unit in units if not unit["cancelled"])
    return ", ".join(f"{len(list(same))} x {sku}" for sku, same in groupby(skus))


def each_parcel(field: str) -> Callable[[Order], str]:
    return lambda order: ", ".join(str(getattr(parcel, field)) for parcel in order.parcels.all())


COLUMNS: dict[str, Callable[[Order], Any]] = {
    "tiktok_order_id": lambda order: order.tiktok_id,
    "tiktok_shop": lambda order: order.connection.tiktok_shop.name,
    "state": lambda order: order.state,
    "reason": lambda order: reason(order.reason).title if order.reason else "",
    "tiktok_status": lambda order: order.tiktok_status,
    "shopify_order": lambda order: order.order_name,
    "shopify_draft": lambda order: order.draft_name,
    "placed_at": lambda order: order.placed_at,
    "paid_at": lambda order: order.paid_at,
    "in_shopify_at": lambda order: order.finalized_at,
    "ship_by": ship_by,
    "kinds": lambda order: ", ".join(order.kinds),
    "total": lambda order: order.expected_total,
    "currency": lambda order: order.currency,
    "goods": goods,
    "tracking_numbers": each_parcel("number"),
    "carriers": each_parcel("provider_name"),
    "tracking_states": each_parcel("state"),
}
