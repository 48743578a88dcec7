"""Which Shopify variant each TikTok SKU stands for. Links are remembered, and confirmed by id at each use."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from connector.mapping import VariantChoice, line_title
from connector.models import ASKING, Connection, Order, SkuLink
from connector.platforms import shopify_for
from connector.policy import CUSTOM_LINE
from connector.work import wake_all
from shopify_app.client import SKUS_PER_SEARCH
from shopify_app.orders import Variant
from tiktok.orders import LineItem
from tiktok.orders import Order as Source

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Match:
    """A variant per TikTok SKU id (None: a custom line), or the reason why there is none for some."""

    variants: dict[str, VariantChoice | None] = field(default_factory=dict)
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


def match(order: Order, source: Source) -> Match:
    lines = {line.sku_id: line for line in source.line_items if not line.cancelled}
    found: dict[str, VariantChoice | None] = dict(linked(order, lines))
    missing = {sku_id: line for sku_id, line in lines.items() if sku_id not in found}
    if bundles := [describe(line) for line in missing.values() if line.is_bundle]:
        remember_unlinked(order, missing, {})
        return Match(reason="bundle_unmapped", detail={"lines": bundles})
    hits = search(order, missing)
    remember_unlinked(order, missing, hits)
    if several := [describe(line) for sku_id, line in missing.items() if len(hits[sku_id]) > 1]:
        return Match(reason="sku_conflict", detail={"lines": several})
    for sku_id, line in missing.items():
        if hits[sku_id]:
            found[sku_id] = link(order, line, hits[sku_id][0])
    unmatched = [describe(line) for sku_id, line in missing.items() if not hits[sku_id]]
    if unmatched and order.connection.policy.unmatched != CUSTOM_LINE:
        return Match(reason="sku_unmapped", detail={"lines": unmatched})
    return Match(variants=found | {sku_id: None for sku_id in missing if not hits[sku_id]})


def linked(order: Order, lines: dict[str, LineItem]) -> dict[str, VariantChoice]:
    """What the links say, as far as their variants still exist and still carry the SKU they were matched by."""
    links = {
        link.sku_id: link
        for link in SkuLink.objects.linked().filter(connection=order.connection, sku_id__in=list(lines))
    }
    if not links:
        return {}
    ids = sorted({link.variant_gid for link in links.values()})
    variants = {variant.id: variant for variant in shopify_for(order.shop, live=order.live).get_variants(ids)}
    good: dict[str, VariantChoice] = {}
    for sku_id, known in links.items():
        variant = variants.get(known.variant_gid)
        if variant and (known.by_hand or variant.sku == lines[sku_id].seller_sku):
            good[sku_id] = chosen(variant)
        else:
            unlink(known)
    return good


def unlink(known: SkuLink) -> None:
    SkuLink.objects.filter(pk=known.pk).update(variant_gid="", variant_title="", by_hand=False)


def search(order: Order, missing: dict[str, LineItem]) -> dict[str, list[Variant]]:
    """The variants that carry each SKU exactly; of several, the active one counts."""
    skus = sorted({line.seller_sku for line in missing.values() if line.seller_sku})
    found = shopify_for(order.shop, live=order.live).find_variants(skus) if skus else []
    hits = {}
    for sku_id, line in missing.items():
        hits[sku_id] = carrying(line.seller_sku, found)
    return hits


def waiting_for_skus(orders: QuerySet[Order]) -> dict[str, set[int]]:
    """The SKUs that some of the orders wait for, each with those orders' keys."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    asking = orders.filter(ASKING, reason__in=("sku_unmapped", "sku_conflict"))
    for key, lines in asking.order_by().values_list("pk", "detail__lines"):
        for line in lines or ():
            found[line["sku"]].add(key)
    found.pop("", None)
    return found


def wake_waiting(waiting: Mapping[str, set[int]], skus: Iterable[str]) -> None:
    """Those that wait for one of the SKUs."""
    wake_all(Order.objects.filter(pk__in=set().union(*(waiting[sku] for sku in skus))))


def search_again(connection: Connection) -> None:
    """Wake the orders for whose SKU Shopify has another number of variants than when it was last looked for: the
    webhook of a product may be lost, and none tells of an SKU that a product gets later.

    One search for fifty SKUs, those that were looked for longest ago: it costs the same however many orders wait.
    """
    waiting = waiting_for_skus(connection.asking())
    links = SkuLink.objects.filter(connection=connection, variant_gid="", seller_sku__in=list(waiting))
    # without a link where TikTok lists it no more
    known = dict.fromkeys(waiting, (NEVER, 0))
    known |= {link.seller_sku: (link.matched_at or NEVER, link.matches) for link in links}
    before = timezone.now() - settings.SKU_LOOK_AGAIN
    stale = sorted((looked_at, sku) for sku, (looked_at, _) in known.items() if looked_at <= before)
    skus = [sku for _, sku in stale[:SKUS_PER_SEARCH]]
    if not skus:
        return
    variants = shopify_for(connection.shop, live=False).find_variants(skus)
    changed = [sku for sku in skus if len(carrying(sku, variants)) != known[sku][1]]
    wake_waiting(waiting, changed)
    links.filter(seller_sku__in=skus).update(matched_at=timezone.now())


def carrying(sku: str, found: Iterable[Variant]) -> list[Variant]:
    """The variants with exactly this SKU; where active ones are among them, those only."""
    same = [variant for variant in found if sku and variant.sku == sku]
    return [variant for variant in same if variant.product_status == "ACTIVE"] or same


def remember_unlinked(
    order: Order, missing: dict[str, LineItem], hits: Mapping[str, Sequence[Variant]]
) -> None:
    """Let the products page show what has no variant, or several, also where TikTok no longer lists it."""
    for sku_id, line in missing.items():
        found = len(hits.get(sku_id, ()))
        if found != 1:
            facts: dict[str, Any] = {
                "seller_sku": line.seller_sku,
                "product_id": line.product_id,
                "title": line_title(line),
                "matches": found,
                "matched_at": timezone.now(),
            }
            SkuLink.objects.update_or_create(connection=order.connection, sku_id=sku_id, defaults=facts)


def link(order: Order, line: LineItem, variant: Variant) -> VariantChoice:
    SkuLink.objects.update_or_create(
        connection=order.connection,
        sku_id=line.sku_id,
        defaults={
            "seller_sku": line.seller_sku,
            "product_id": line.product_id,
            "title": line_title(line),
            "variant_gid": variant.id,
            "variant_title": title_of(variant),
            "confirmed_at": timezone.now(),
        },
    )
    return chosen(variant)


def chosen(variant: Variant) -> VariantChoice:
    return VariantChoice(variant_id=variant.id, title=title_of(variant))


def title_of(variant: Variant) -> str:
    return f"{variant.product_title} {variant.title}".strip()


def describe(line: LineItem) -> dict[str, str]:
    return {"sku_id": line.sku_id, "sku": line.seller_sku, "title": line_title(line)}
