"""The embedded pages over many orders: server time and statements of each, and whether an index serves each of them."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, repeat
from typing import Any

from django.db import connection, models
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from bench.figures import MET, MISSED, Figure, Section, judged, number, told
from bench.ground import Ground
from bench.life import percentile
from connector import listing
from connector.models import Connection, InboxEvent, Order, OrderLine, OrderLog, Parcel, SkuLink
from connector.states import OrderState, ParcelState

LIMIT_MS = 50.0
LARGE = (Order, OrderLine, OrderLog, Parcel, InboxEvent)
SKUS = 10_000
DIFFERENT = 20  # so many orders, places in the list and SKUs are looked at in turn
# What differs from order to order, by column; all else is as in the template row. `n` counts them from the newest, one
# every 47 seconds: a million in the 18 months that orders are kept. The newest are held for an hour, then to be
# shipped for three days, on their way for two weeks, and done.
SPACING = 47
HELD, TO_SHIP, ON_THE_WAY = 3600 // SPACING, 3 * 86_400 // SPACING, 14 * 86_400 // SPACING
STATE = f"""CASE WHEN mod(n, 97) = 5 THEN 'skipped' WHEN mod(n, 20) = 3 THEN 'cancelled' WHEN n <= {HELD} THEN 'on_hold'
            WHEN n <= {TO_SHIP} AND mod(n, 3) > 0 THEN 'finalized' WHEN n <= {ON_THE_WAY} THEN 'shipped'
            ELSE 'completed' END"""
FINALIZED = f"NOT (mod(n, 97) = 5 OR mod(n, 40) = 3 OR n <= {HELD})"
PLACED = f"now() - n * interval '{SPACING} seconds'"
ORDER_COLUMNS = {
    "tiktok_id": "'5990' || lpad((2000000 - n)::text, 14, '0')",
    "tiktok_status": f"CASE WHEN n <= {HELD} THEN 'ON_HOLD' ELSE 'AWAITING_COLLECTION' END",
    "state": STATE,
    "reason": "CASE WHEN mod(n, 97) = 5 THEN 'tiktok_ships' WHEN mod(n, 5000) = 0 THEN 'tracking_refused' ELSE '' END",
    "expected_total": "10 + mod(n, 90)",
    "placed_at": PLACED,
    "paid_at": PLACED,
    "release_at": f"{PLACED} + interval '1 hour'",
    "released_at": f"CASE WHEN {FINALIZED} THEN {PLACED} + interval '1 hour' END",
    "finalized_at": f"CASE WHEN {FINALIZED} THEN {PLACED} + interval '1 hour 1 second' * (1 + mod(n, 7) / 9000.0) END",
    "ship_by_at": f"{PLACED} + interval '3 days'",
    "created_at": PLACED,
    "changed_at": PLACED,
    "draft_gid": "'gid://shopify/DraftOrder/99' || n",
    "draft_name": "'#D9' || n",
    "order_gid": f"CASE WHEN {FINALIZED} THEN 'gid://shopify/Order/99' || n ELSE '' END",
    "order_name": f"CASE WHEN {FINALIZED} THEN '#9' || n ELSE '' END",
    "due_at": "NULL",
    "leased_until": "NULL",
}
OF_AN_ORDER = {"order_id": "o.id"}
LINE_COLUMNS = OF_AN_ORDER | {
    "tiktok_line_id": "o.tiktok_id || '1'",
    "seller_sku": f"'SKU-' || mod(o.id, {SKUS})",
    "sku_id": f"mod(o.id, {SKUS})::text",
    "shopify_line_gid": "'gid://shopify/LineItem/9' || o.id",
}
ACCEPTED = "o.placed_at + interval '1 day'"
PARCEL_COLUMNS = OF_AN_ORDER | {
    "fulfillment_gid": "'gid://shopify/Fulfillment/9' || o.id",
    "number": "'1Z' || lpad(o.id::text, 16, '0')",
    "due_at": "NULL",
    "leased_until": "NULL",
    "reason": "CASE WHEN mod(o.id, 10000) = 7 THEN 'number_invalid' ELSE '' END",
    "fulfilled_at": f"{ACCEPTED} - interval '1 second' * (1 + mod(o.id, 9))",
    "accepted_at": ACCEPTED,
}
LOG_COLUMNS = OF_AN_ORDER | {"at": "o.placed_at", "parcel_id": "NULL"}
ASKED_COLUMNS = LOG_COLUMNS | {"what": "'asked'", "reason": "'sku_unmapped'"}
SKU_COLUMNS = {
    "sku_id": "n::text",
    "seller_sku": "'SKU-' || n",
    "title": "'Tee ' || mod(n, 400) || ' colour ' || mod(n, 25)",
    "variant_gid": "CASE WHEN mod(n, 10) = 0 THEN '' ELSE 'gid://shopify/ProductVariant/9' || n END",
}


@dataclass(frozen=True, slots=True)
class Page:
    """The same page as it is asked for in different ways."""

    name: str
    path: str | list[str]
    queries: list[dict[str, str]]
    part: bool = False  # fetched by htmx

    def asked(self) -> Iterator[tuple[str, dict[str, str]]]:
        paths = [self.path] if isinstance(self.path, str) else self.path
        return zip(cycle(paths), cycle(self.queries))


def measure(ground: Ground, orders: int, visits: int) -> Section:
    store = ground.stores[0]
    seconds = fill(Connection.objects.get(shop=store.shop_id), orders)
    figures = [told(f"filling {orders:,} orders with lines, parcels and log", seconds, " s")]
    unserved: list[str] = []
    for page in pages(store.shop_id):
        figure, whole = visit(ground, store.domain, page, visits)
        figures.append(figure)
        unserved += whole
    figures.append(judged("statements that read a whole table", len(unserved), 0, "", "≤", not unserved))
    return Section(
        f"Pages at {orders:,} orders",
        figures,
        (
            f"Server time from request to rendered answer in one process, of {visits} visits to up to {DIFFERENT}"
            " different orders, places or SKUs.",
            f"An order every {SPACING} s, {86_400 // SPACING:,} a day.",
            *unserved,
        ),
    )


def pages(shop_id: int) -> Iterator[Page]:
    placed = Order.objects.filter(shop=shop_id).order_by("-placed_at", "-id")
    each = max(1, placed.count() // DIFFERENT)
    some = [placed[nth * each] for nth in range(DIFFERENT)]
    sent = list(placed.filter(state=OrderState.COMPLETED)[:DIFFERENT]) or some
    deep = [{"after": listing.Cursor.of(order).text} for order in some]
    yield Page("home", "/", [{}])
    yield Page("home, looked at again", "/home/standing", [{}], part=True)
    for show in listing.SHOWS:
        yield Page(f"list, {show}", "/orders", [{"show": show}])
    yield Page("list, anywhere", "/orders", deep)
    yield Page("list, to ship, anywhere", "/orders", [{"show": "ship"} | one for one in deep])
    yield Page("list, looked at again", "/orders/rows", [{}], part=True)
    for key, found in searches(some, sent).items():
        yield Page(f"search by {key}", "/orders", [{"find": find} for find in found])
    yield Page("order page", [f"/orders/{order.pk}" for order in some], [{}])
    days = [{"day": order.placed_at.date().isoformat()} for order in some if order.placed_at]
    yield Page("proof of a day", "/proof", days)
    yield Page("proof, differences", "/proof", [{"show": "differences"} | day for day in days])
    yield Page("products", "/products", [{"tab": "linked"}, {"tab": "unlinked"}])
    yield Page("products, search", "/products", [{"find": "SKU-77"}, {"find": "colour 7"}])


def searches(some: list[Order], sent: list[Order]) -> dict[str, list[str]]:
    numbers = Parcel.objects.filter(order__in=sent).values_list("number", flat=True)
    skus = OrderLine.objects.filter(order__in=some).values_list("seller_sku", flat=True)
    return {
        "TikTok id": [order.tiktok_id for order in some],
        "Shopify name": [order.order_name for order in sent],
        "draft name": [order.draft_name for order in some],
        "tracking number": list(numbers) or ["none"],
        "SKU": list(skus),
        "a word that is none of these": ["nothing"],
    }


def visit(ground: Ground, domain: str, page: Page, visits: int) -> tuple[Figure, list[str]]:
    asked = page.asked() if not page.part else seen(ground, domain, page)

    def once() -> float:
        return timed(ground, domain, page, *next(asked))

    once()
    statements: list[tuple[str, Any]] = []

    def keep(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:
        statements.append((sql, values))
        return execute(sql, values, many, context)

    with connection.execute_wrapper(keep):
        once()
    times = sorted(once() for _ in range(visits))
    half, most = percentile(times, 50), percentile(times, 95)
    words = f"{number(half)} / {number(most)} ms, {len(statements)}"
    verdict = MET if most <= LIMIT_MS else MISSED
    figure = Figure(
        f"{page.name}: p50 / p95, statements",
        f"≤ {LIMIT_MS:.0f} ms",
        words,
        f"{most / LIMIT_MS:.2f}",
        verdict,
    )
    return figure, [
        f"{page.name}: {sql[:200]}" for sql, values in statements if reads_a_whole_table(sql, values)
    ]


def seen(ground: Ground, domain: str, page: Page) -> Iterator[tuple[str, dict[str, str]]]:
    """As an open page asks again and again: with the mark of what it shows, and nothing has changed."""
    path, query = next(page.asked())
    shown = fetched(path, query, ground.shopify.id_token(domain)).content.decode()
    mark = re.search(r"seen=([0-9a-f.]+)", shown)
    if mark is None:
        raise RuntimeError(f"{page.name}: no mark")
    return repeat((path, query | {"seen": mark[1]}))


def timed(ground: Ground, domain: str, page: Page, path: str, query: dict[str, str]) -> float:
    token = ground.shopify.id_token(domain)
    began = time.perf_counter()
    answer = fetched(path, query, token) if page.part else Client().get(path, query | {"id_token": token})
    took = time.perf_counter() - began
    if answer.status_code not in (200, 204):  # a deadline that passes meanwhile is news
        raise RuntimeError(f"{page.name}: {answer.status_code}")
    return took * 1000


def fetched(path: str, query: dict[str, str], token: str) -> HttpResponse:
    headers = {"Authorization": f"Bearer {token}", "HX-Request": "true"}
    return Client().get(path, query, headers=headers)


def reads_a_whole_table(sql: str, values: Any) -> bool:
    """Whether the plan scans one of the tables that grow with the orders."""
    if not sql.startswith(("SELECT", "(SELECT", "WITH", "((SELECT")):
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    return any(f"Seq Scan on {model._meta.db_table} " in f"{plan} " for model in LARGE)


# ---- many rows, in one statement a table ---------------------------------------------------------


def fill(owner: Connection, orders: int) -> float:
    """Multiply one order with what hangs on it; seconds it took, with the planner's statistics."""
    began = time.monotonic()
    order = Order.objects.create(
        shop=owner.shop, connection=owner, tiktok_id="template", currency="USD", placed_at=timezone.now()
    )
    line = OrderLine.objects.create(order=order, tiktok_line_id="template", title="Tee")
    parcel = Parcel.objects.create(
        order=order, shop=owner.shop, state=ParcelState.ACCEPTED, number="template", company="UPS"
    )
    log = OrderLog.objects.create(order=order, what="moved", old="received", new="on_hold")
    sku = SkuLink.objects.create(connection=owner, sku_id="template")
    with later_indexed(Order, OrderLine, Parcel, OrderLog):
        multiply(Order, order.pk, ORDER_COLUMNS, f"generate_series({orders}, 1, -1) n")
        mine = f"connector_order o WHERE o.shop_id = {owner.shop_id} AND o.tiktok_id LIKE '5990%%'"
        multiply(OrderLine, line.pk, LINE_COLUMNS, mine)
        multiply(Parcel, parcel.pk, PARCEL_COLUMNS, f"{mine} AND o.state IN ('shipped', 'completed')")
        for _ in range(2):
            multiply(OrderLog, log.pk, LOG_COLUMNS, mine)
        multiply(OrderLog, log.pk, ASKED_COLUMNS, f"{mine} AND mod(o.id, 50) = 0")
    multiply(SkuLink, sku.pk, SKU_COLUMNS, f"generate_series(1, {SKUS}) n")
    order.delete()
    sku.delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return time.monotonic() - began


@contextmanager
def later_indexed(*tables: type[models.Model]) -> Iterator[None]:
    """Without the indexes that are no constraints: to build them at the end takes a tenth of keeping them up."""
    names = [model._meta.db_table for model in tables]
    with connection.cursor() as cursor:
        cursor.execute(INDEXES, [names])
        indexes = cursor.fetchall()
        for name, _definition in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '256MB'")
        for _name, definition in indexes:
            cursor.execute(definition)


INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)
"""


def multiply(model: type[models.Model], template: Any, given: dict[str, str], source: str) -> None:
    """INSERT … SELECT: the template row's columns, but for those that are given as expressions."""
    fields = (field for field in model._meta.concrete_fields if not field.generated)
    columns = [field.column for field in fields if not field.primary_key]
    table = model._meta.db_table
    values = ", ".join(
        given.get(column, f'(SELECT t."{column}" FROM {table} t WHERE t.id = %s)') for column in columns
    )
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {source}",
            [template] * sum(column not in given for column in columns),
        )
