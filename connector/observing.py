"""What both platforms say of an order, as columns; and the units and lines that tie them together."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone

from connector import cancel_requests, mapping, sql
from connector.models import Order, OrderLine, SkuLink
from connector.pairing import Sold, pair
from connector.platforms import shopify_for
from connector.reading import read
from connector.waits import ready_due
from connector.work import Later
from shopify_app.orders import CompletedOrder, Draft, DraftContent
from shopify_app.orders import OrderLine as ShopifyLine
from tiktok import cancelling
from tiktok.orders import Order as Source

FORGET_OTHERS = "DELETE FROM connector_orderline WHERE order_id = %s AND tiktok_line_id <> ALL(%s)"
ALL_UNITS = "UPDATE connector_orderline SET shopify_line_gid = %s WHERE order_id = %s AND NOT cancelled"
SOME_UNITS = """
UPDATE connector_orderline unit SET shopify_line_gid = pair.line
FROM (SELECT unnest(%s::text[]) AS unit, unnest(%s::text[]) AS line) pair
WHERE unit.order_id = %s AND unit.tiktok_line_id = pair.unit
"""
RELEASE = ("ON_HOLD", "AWAITING_SHIPMENT")


def look(order: Order) -> Source | None:
    """TikTok's truth, now. None: TikTok does not know the order, and the row has been handed back."""
    source = read(order)
    if source is None:
        again = None if order.reason == "order_not_found" else timezone.now() + settings.HOLD_LOOK_AGAIN[0]
        order.ask("order_not_found", due_at=again)
    return source


def observed(order: Order, source: Source) -> dict[str, Any]:
    """The columns that only repeat what TikTok says."""
    return {
        "tiktok_status": source.status,
        "tiktok_updated_at": source.update_time,
        "placed_at": source.create_time or order.placed_at,
        "paid_at": source.paid_time,
        "release_at": source.release_date,
        "released_at": order.released_at or released(order, source),
        "ship_by_at": source.rts_sla_time,
        "hand_over_by_at": source.tts_sla_time,
        "ship_due_at": source.shipping_due_time,
        "collection_due_at": source.collection_due_time,
        "delivery_due_at": source.delivery_due_time,
        "kinds": sorted(mapping.kinds(source)),
        "delivery_option_id": source.delivery_option_id,
        "warehouse_id": source.warehouse_id,
        "region": source.address.region_code if source.address else "",
        "combine_group": source.auto_combine_group_id,
        "split_or_combine": source.split_or_combine_tag,
        "cancelled_by": cancelling.role(source.cancellation_initiator) if source.cancelled else "",
        "cancel_reason": cancelling.why(source.cancel_reason) if source.cancelled else "",
        **cancel_requests.observed(order, source),
    }


def released(order: Order, source: Source) -> datetime | None:
    """TikTok states no end of the hold: it is the update that we first see the order released by."""
    return source.update_time if (order.tiktok_status, source.status) == RELEASE else None


def priced(order: Order, source: Source) -> dict[str, Any]:
    """The figures that Shopify is given: kept until they are given anew, so that a difference shows."""
    return {
        "money": mapping.snapshot(source),
        "currency": mapping.currency(source),
        "expected_total": mapping.expected_total(source, order.connection.policy),
    }


def seen(draft: Draft) -> dict[str, Any]:
    """What we know of the draft from our own answer: a later event that is not newer is our echo."""
    return {"draft_updated_at": draft.updated_at}


def changed(order: Order, source: Source) -> bool:
    """Whether TikTok's lines or amounts differ from those the draft was written with."""
    return bool(order.money) and bool(mapping.differences(order.money, source))


def meddled(order: Order, source: Source, draft: Draft) -> str:
    """The reason when the draft does not sum up to what we wrote: somebody edited it, or Shopify never agreed.

    What TikTok says now may have been written already, by a call whose answer was lost.
    """
    if order.expected_total is None:
        return ""
    wrong = disagreement(order, draft, mapping.expected_total(source, order.connection.policy))
    if wrong and not draft.ready:
        raise still_computed(order)
    if wrong == "total_mismatch" and order.reason != wrong:
        return "draft_edited"
    return wrong


def disagreement(order: Order, draft: Draft, *written: Decimal) -> str:
    """The reason when Shopify does not come to what we wrote: in its currency, without tax, to the cent (Shopify
    contract 3b). A draft may agree by its total alone, where prices contain the tax.
    """
    if order.currency and draft.currency != order.currency:
        return "draft_currency"
    if draft.tax:
        return "draft_taxed"
    return "" if draft.total in (order.expected_total, *written) else "total_mismatch"


def still_computed(order: Order) -> Later:
    """Shopify has not said its last word on the sums, and says so: they are judged when it has."""
    return Later(ready_due(order), ready_looks=order.ready_looks + 1, draft_touched=True)


def sums(order: Order, draft: Draft) -> dict[str, str]:
    """The figures behind a disagreement, to the cent."""
    return {
        "expected": f"{order.expected_total or 0:.2f}",
        "expected_currency": order.currency,
        "shopify": f"{draft.total:.2f}",
        "currency": draft.currency,
        "tax": f"{draft.tax:.2f}",
    }


def addressed(order: Order, source: Source) -> dict[str, Any]:
    """The columns that say which of TikTok's addresses Shopify has now: times and a mark, nothing of a place.

    `address_told_at` is as it was when the row was claimed, and so before we read: a change that rang later is news,
    also when its event was answered while we wrote.
    """
    return {
        "addressed_as_of": source.update_time or order.read_at,
        "addressed_told_at": order.address_told_at,
        "addressed_marked": bool(order.addressed_marked) or source.has_updated_recipient_address,
        "addressed_at": order.read_at,
    }


def address_is_newer(order: Order, source: Source) -> bool:
    """Whether TikTok may have another address than Shopify. Its update time need not move with the address, its mark
    need not be there, its doorbell may be lost (TikTok contract 4.3, 4.5): one of them is enough, and once.
    """
    if source.masked or mapping.address(source) is None:
        return False
    if order.addressed_as_of is None:
        return True
    return told_since(order) or marked_since(order, source) or moved_since(order, source)


def told_since(order: Order) -> bool:
    """A change rang that had not rung when we read the address."""
    told, known = order.address_told_at, order.addressed_told_at
    return told is not None and (known is None or told > known)


def marked_since(order: Order, source: Source) -> bool:
    """TikTok's mark of a changed address, which stays for ever, came after we read."""
    return order.addressed_marked is False and source.has_updated_recipient_address


def moved_since(order: Order, source: Source) -> bool:
    """The address is marked, and the order has changed since we read: by a second change of it, perhaps."""
    before, now = order.addressed_as_of, source.update_time
    if before is None or now is None:
        return False
    return source.has_updated_recipient_address and now > before


def tag_of(order: Order) -> str:
    return mapping.id_tag(order.tiktok_id)


def lines_of(order: Order, source: Source) -> tuple[mapping.Group, ...]:
    return mapping.group(source.line_items, mapping.booking(source, order.connection.policy))


def remember_lines(order: Order, source: Source, content: DraftContent | None = None) -> None:
    """The units of the order, as TikTok has them now, and the variants that `content` writes for them."""
    policy = mapping.booking(source, order.connection.policy)
    variants = variants_of(content) if content else {}
    units = [
        OrderLine(
            order=order,
            tiktok_line_id=line.id,
            sku_id=line.sku_id,
            seller_sku=line.seller_sku,
            product_id=line.product_id,
            title=mapping.line_title(line),
            price=mapping.booked_unit(line, policy.money_mode),
            is_gift=line.is_gift,
            cancelled=line.cancelled,
            variant_gid=variants.get(line.id, ""),
        )
        for line in source.line_items
    ]
    told = ["sku_id", "seller_sku", "product_id", "title", "price", "is_gift", "cancelled"]
    OrderLine.objects.bulk_create(
        units,
        update_conflicts=True,
        unique_fields=["order", "tiktok_line_id"],
        update_fields=[*told, "variant_gid"] if content else told,
    )
    sql.change(FORGET_OTHERS, [order.pk, [line.id for line in source.line_items]])


def variants_of(content: DraftContent) -> dict[str, str]:
    """The variant that stands for each unit; none for those of a custom line."""
    return {
        unit_id: line.variant_id
        for line in content.lines
        for unit_id in mapping.read_unit_ids(line.attributes)
        if line.variant_id
    }


def store_line_ids(order: Order, done: CompletedOrder) -> list[str]:
    """Which Shopify line stands for which TikTok units: the way back for tracking. Returns the lines that stand for
    none: the tax line, or what a merchant added.
    """
    units = {line.id: mapping.read_unit_ids(line.attributes) for line in done.lines}
    # the cheap answer for a draft of one line has no attributes
    if len(units) == 1 and not any(units.values()):
        [only] = units
        return [] if sql.change(ALL_UNITS, [only, order.pk]) else [only]
    if not any(units.values()):
        units = pair(sold(order), with_variants(order, done))
    pairs = [(unit_id, line_id) for line_id, ids in units.items() for unit_id in ids]
    sql.change(SOME_UNITS, [*map(list, zip(*pairs, strict=True)), order.pk] if pairs else [[], [], order.pk])
    return [line_id for line_id, ids in units.items() if not ids]


def with_variants(order: Order, done: CompletedOrder) -> Sequence[ShopifyLine]:
    """The order's lines with their variants, which a completion does not tell."""
    if any(line.variant_id for line in done.lines):
        return done.lines
    return shopify_for(order.shop, live=order.live).get_order_lines(done.id)


def sold(order: Order) -> list[Sold]:
    """The lines that the draft was written with. Of one that we found, the variants are those of our links."""
    groups: dict[tuple[str, str, Decimal, bool], list[OrderLine]] = {}
    for unit in OrderLine.objects.filter(order=order, cancelled=False):
        groups.setdefault((unit.sku_id, unit.seller_sku, unit.price, unit.is_gift), []).append(unit)
    links = SkuLink.objects.linked().filter(
        connection=order.connection_id, sku_id__in=[key[0] for key in groups]
    )
    linked = dict(links.values_list("sku_id", "variant_gid"))
    return [
        Sold(
            variant_id=units[0].variant_gid or linked.get(units[0].sku_id, ""),
            title=units[0].title,
            unit_price=units[0].price,
            unit_ids=tuple(unit.tiktok_line_id for unit in units),
        )
        for units in groups.values()
    ]
