"""The probe: every experiment on a real store, told fact by fact, and the table of them."""

import textwrap
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from django.conf import settings
from django.db.models import Count

import shopify_app.probe
import tiktok.probe
from connector.models import PULLED, Connection, InboxEvent
from connector.platforms import tiktok_for
from connector.setup import TOPICS
from shopify_app.models import Shop
from shopify_app.workbench import Workbench

Fact = shopify_app.probe.Fact | tiktok.probe.Fact

DELIVERIES, TIKTOK = "5", "tiktok"
CHOICES = (*(experiment.number for experiment in shopify_app.probe.EXPERIMENTS), DELIVERIES, TIKTOK)
VERDICTS = {True: "same", False: "different", None: "unknown"}
HEADINGS = ("experiment", "assumed", "seen", "verdict")
WIDTHS = (38, 26, 44, 9)
LONGEST = 200  # of what a platform says


def facts(shop: Shop, bench: Workbench, only: Iterable[str] = CHOICES) -> Iterator[Fact]:
    """The chosen experiments' facts, each as soon as it is found."""
    chosen = set(only)
    for experiment in shopify_app.probe.EXPERIMENTS:
        if experiment.number in chosen:
            yield from shopify_app.probe.facts_of(experiment, bench)
    if DELIVERIES in chosen:
        yield repeated_deliveries(shop)
    if TIKTOK in chosen:
        yield from tiktok_facts(shop)


def repeated_deliveries(shop: Shop) -> Fact:
    """Whether one event ever came under two webhook ids. A repeat under the same id is not stored, so not seen."""
    stored = InboxEvent.objects.filter(shop=shop, source="shopify").exclude(key__startswith=PULLED)
    doubled = stored.values("topic", "subject", "triggered_at").annotate(n=Count("pk")).filter(n__gt=1)
    pairs = doubled.exclude(subject="").count()
    seen = f"{stored.count()} deliveries, {pairs} event(s) under two ids"
    name = "5 X-Shopify-Webhook-Id of a repeated delivery"
    return shopify_app.probe.Fact(name, "the same as before", seen, False if pairs else None)


def tiktok_facts(shop: Shop) -> Iterator[Fact]:
    connections = Connection.objects.filter(shop=shop, active=True).select_related("tiktok_shop__seller")
    if not connections:
        yield tiktok.probe.Fact("TikTok", "", "no TikTok shop is connected", None)
    for connection in connections:
        address = f"{settings.APP_URL}/webhooks/tiktok"
        yield from tiktok.probe.facts_of(tiktok_for(connection), TOPICS, address)


def verdict(fact: Fact) -> str:
    return VERDICTS[fact.holds]


def table(found: Iterable[Fact]) -> str:
    rows = [(fact.experiment, fact.assumed, fact.seen, verdict(fact)) for fact in found]
    ruler = tuple("-" * width for width in WIDTHS)
    return "\n".join(line for row in (HEADINGS, ruler, *rows) for line in lines_of(row))


def lines_of(row: tuple[str, ...]) -> Iterator[str]:
    texts = [textwrap.shorten(text, LONGEST, placeholder=" …") for text in row]
    cells = [textwrap.wrap(text, width) or [""] for text, width in zip(texts, WIDTHS, strict=True)]
    for parts in zip_longest(*cells, fillvalue=""):
        yield "  ".join(part.ljust(width) for part, width in zip(parts, WIDTHS, strict=True)).rstrip()
