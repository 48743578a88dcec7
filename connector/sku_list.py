"""TikTok's SKUs of a connection as the products page shows them: three lists, one search, and what SKUs match."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connector.keys import key_of
from connector.matching import carrying
from connector.models import Connection, SkuLink
from connector.platforms import shopify_for
from shopify_app.orders import Variant

PAGE_SIZE = 50
COUNTED_TO = 100
MATCHED_AT_ONCE = 50  # SKUs in one search of Shopify (Shopify contract a1)

TABS: dict[str, Promise] = {
    "unlinked": _("Not linked"),
    "conflict": _("Conflict"),
    "linked": _("Linked"),
}
CONDITIONS = {  # each has its partial index
    "unlinked": Q(variant_gid="", matches__lte=1),
    "conflict": Q(variant_gid="", matches__gt=1),
    "linked": ~Q(variant_gid=""),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address asks for: one of TABS, or words to find; `after` is the last row of the page before."""

    tab: str = "unlinked"
    find: str = ""
    after: int | None = None

    @classmethod
    def from_query(cls, query: Any) -> "Wish":
        tab = query.get("tab", "")
        find, after = query.get("find", "").strip()[:100], key_of(query.get("after", ""))
        return cls(tab if tab in TABS else "unlinked", find, after)

    @property
    def query(self) -> str:
        return urlencode({"find": self.find} if self.find else {"tab": self.tab})


@dataclass(frozen=True, slots=True)
class Page:
    skus: list[SkuLink]
    after: int | None  # where the next page begins; None on the last one


@dataclass(frozen=True, slots=True)
class Proposal:
    """What Shopify has for some SKUs: exactly one variant, several, or none. `left`: how many are not looked at."""

    exact: list[tuple[SkuLink, Variant]]
    several: list[SkuLink]
    none: list[SkuLink]
    left: int


def page_of(connection: Connection, wish: Wish) -> Page:
    rows = beyond(wished(connection, wish), wish.after)
    found = list(rows.order_by("title", "pk")[: PAGE_SIZE + 1])
    skus = found[:PAGE_SIZE]
    return Page(skus, skus[-1].pk if len(found) > PAGE_SIZE else None)


def wished(connection: Connection, wish: Wish) -> QuerySet[SkuLink]:
    skus = SkuLink.objects.filter(connection=connection)
    if not wish.find:
        return skus.filter(CONDITIONS[wish.tab])
    return skus.filter(Q(seller_sku=wish.find) | Q(sku_id=wish.find) | Q(title__icontains=wish.find))


def beyond(rows: QuerySet[SkuLink], after: int | None) -> QuerySet[SkuLink]:
    last = rows.filter(pk=after).first() if after is not None else None
    if last is None:
        return rows
    return rows.filter(title__gte=last.title).exclude(title=last.title, pk__lte=last.pk)


def counts(connection: Connection) -> dict[str, int]:
    """How many a tab holds, as far as anybody wants to know."""
    skus = SkuLink.objects.filter(connection=connection)
    return {tab: skus.filter(condition)[:COUNTED_TO].count() for tab, condition in CONDITIONS.items()}


# ---- matching by SKU -----------------------------------------------------------------------------


def propose(connection: Connection) -> Proposal:
    """Look up the next 50 SKUs in Shopify, those that were never looked up first. Links nothing."""
    unlinked = SkuLink.objects.filter(connection=connection, variant_gid="").exclude(seller_sku="")
    skus = list(unlinked.order_by(F("matched_at").asc(nulls_first=True), "pk")[:MATCHED_AT_ONCE])
    found = shopify_for(connection.shop).find_variants([sku.seller_sku for sku in skus]) if skus else []
    hits = {sku.pk: carrying(sku.seller_sku, found) for sku in skus}
    for sku in skus:
        sku.matches, sku.matched_at = len(hits[sku.pk]), timezone.now()
    SkuLink.objects.bulk_update(skus, ["matches", "matched_at"])
    return Proposal(
        exact=[(sku, hits[sku.pk][0]) for sku in skus if sku.matches == 1],
        several=[sku for sku in skus if sku.matches > 1],
        none=[sku for sku in skus if not sku.matches],
        left=unlinked.filter(matched_at=None)[:COUNTED_TO].count(),
    )


def agreed(connection: Connection, sku_ids: list[str]) -> dict[str, Variant]:
    """The variant of each SKU that a person agreed to, looked up again: a page may have been open for long."""
    chosen = SkuLink.objects.filter(
        connection=connection, variant_gid="", sku_id__in=sku_ids[:MATCHED_AT_ONCE]
    )
    skus = list(chosen.exclude(seller_sku=""))
    found = shopify_for(connection.shop).find_variants([sku.seller_sku for sku in skus]) if skus else []
    hits = {sku.sku_id: carrying(sku.seller_sku, found) for sku in skus}
    return {sku_id: variants[0] for sku_id, variants in hits.items() if len(variants) == 1}
