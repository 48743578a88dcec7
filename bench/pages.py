"""The embedded pages over many orders: server time of each, and whether an index serves each of its queries."""

import time
from collections.abc import Iterator
from typing import Any

from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.figures import Figure, Section, at_most, judged, told
from bench.ground import Ground
from bench.life import percentile
from connector.models import Connection, InboxEvent, Order, OrderLine, OrderLog, Parcel
from connector.states import OrderState, ParcelState

LIMIT_MS = 50.0
LARGE = (Order, OrderLine, OrderLog, Parcel, InboxEvent)
# What differs from order to order, by column; everything else is as in the template row. `n` counts them.
STATES = """(ARRAY['finalized','shipped','shipped','shipped','completed','completed','completed',
            'completed','cancelled','on_hold'])[1 + mod(n, 10)]"""
ORDER_COLUMNS = {
    "tiktok_id": "'5990' || lpad(n::text, 14, '0')",
    "state": STATES,
    "reason": "CASE WHEN mod(n, 5000) = 0 THEN 'tracking_refused' ELSE '' END",
    "placed_at": "now() - n * interval '13 seconds'",
    "paid_at": "now() - n * interval '13 seconds'",
    "finalized_at": "now() - n * interval '13 seconds' + interval '1 hour'",
    "created_at": "now() - n * interval '13 seconds'",
    "changed_at": "now() - n * interval '13 seconds'",
    "draft_gid": "'gid://shopify/DraftOrder/99' || n",
    "draft_name": "'#D9' || n",
    "order_gid": "'gid://shopify/Order/99' || n",
    "order_name": "'#9' || n",
    "due_at": "NULL",
    "leased_until": "NULL",
}
OF_AN_ORDER = {"order_id": "o.id"}
LINE_COLUMNS = OF_AN_ORDER | {
    "tiktok_line_id": "o.tiktok_id || '1'",
    "shopify_line_gid": "'gid://shopify/LineItem/9' || o.id",
}
PARCEL_COLUMNS = OF_AN_ORDER | {
    "fulfillment_gid": "'gid://shopify/Fulfillment/9' || o.id",
    "number": "'1Z' || lpad(o.id::text, 16, '0')",
    "due_at": "NULL",
    "leased_until": "NULL",
    "reason": "''",
    "accepted_at": "o.placed_at + interval '1 day'",
}
LOG_COLUMNS = OF_AN_ORDER | {"at": "o.placed_at", "parcel_id": "NULL"}


def measure(ground: Ground, orders: int, visits: int) -> Section:
    store = ground.stores[0]
    seconds = fill(Connection.objects.get(shop=store.shop_id), orders)
    figures = [told(f"filling {orders:,} orders with lines, parcels and two log rows each", seconds, " s")]
    for name, path, query in pages(store.shop_id):
        figures += visit(ground, store.domain, name, path, query, visits)
    return Section(
        f"Pages at {orders:,} orders", figures, ("Server time: request to rendered answer, in one process.",)
    )


def pages(shop_id: int) -> Iterator[tuple[str, str, dict[str, str]]]:
    orders = Order.objects.filter(shop=shop_id).order_by("-placed_at", "-id")
    some = orders.filter(state=OrderState.SHIPPED)[100]
    deep = orders[orders.count() // 2]
    cursor = f"{deep.placed_at.isoformat()}_{deep.pk}"
    yield "home", "/", {}
    yield "list", "/orders", {}
    yield "list, to ship", "/orders", {"show": "ship"}
    yield "list, needs attention", "/orders", {"show": "attention"}
    yield "list, half way down", "/orders", {"after": cursor}
    yield "search by TikTok id", "/orders", {"find": some.tiktok_id}
    yield "search by Shopify name", "/orders", {"find": some.order_name}
    yield "order page", f"/orders/{some.pk}", {}
    yield "proof of a day", "/proof", {}


def visit(
    ground: Ground, domain: str, name: str, path: str, query: dict[str, str], visits: int
) -> list[Figure]:
    def once() -> float:
        token = {"id_token": ground.shopify.id_token(domain)}
        began = time.perf_counter()
        answer = Client().get(path, query | token)
        took = time.perf_counter() - began
        if answer.status_code != 200:
            raise RuntimeError(f"{name}: {answer.status_code}")
        return took * 1000

    once()
    with CaptureQueriesContext(connection) as captured:
        once()
    asked = [entry["sql"] for entry in captured.captured_queries]  # now: the next request forgets them
    times = sorted(once() for _ in range(visits))
    read = [sql for sql in asked if sql.startswith(("SELECT", "(SELECT", "WITH"))]
    whole = [sql for sql in read if reads_a_whole_table(sql)]
    return [
        at_most(f"{name}: p95 of {visits}", percentile(times, 95), LIMIT_MS, " ms"),
        judged(f"{name}: of {len(asked)} queries, without an index", len(whole), 0, "", "≤", not whole),
    ]


def reads_a_whole_table(sql: str) -> bool:
    """Whether the plan scans one of the tables that grow with the orders."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql.replace('%', '%%')}", [])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    return any(f"Seq Scan on {model._meta.db_table} " in f"{plan} " for model in LARGE)


# ---- many rows, in one statement a table ---------------------------------------------------------


def fill(owner: Connection, orders: int) -> float:
    """Multiply one order with what hangs on it; seconds it took, with the planner's statistics."""
    began = time.monotonic()
    order = Order.objects.create(
        shop=owner.shop, connection=owner, tiktok_id="template", currency="USD", placed_at=timezone.now()
    )
    line = OrderLine.objects.create(
        order=order, tiktok_line_id="template", title="Tee", seller_sku="TEE-BLK-M"
    )
    parcel = Parcel.objects.create(
        order=order, shop=owner.shop, state=ParcelState.ACCEPTED, number="template", company="UPS"
    )
    log = OrderLog.objects.create(order=order, what="moved", old="received", new="on_hold")
    multiply(Order, order.pk, ORDER_COLUMNS, f"generate_series(1, {orders}) n")
    mine = f"connector_order o WHERE o.shop_id = {owner.shop_id} AND o.tiktok_id LIKE '5990%%'"
    multiply(OrderLine, line.pk, LINE_COLUMNS, mine)
    multiply(Parcel, parcel.pk, PARCEL_COLUMNS, f"{mine} AND o.state IN ('shipped', 'completed')")
    for _ in range(2):
        multiply(OrderLog, log.pk, LOG_COLUMNS, mine)
    order.delete()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return time.monotonic() - began


def multiply(model: type[models.Model], template: Any, given: dict[str, str], source: str) -> None:
    """INSERT … SELECT: the template row's columns, but for those that are given as expressions."""
    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key]
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
