"""python -m bench.grown PLAN: fills a database of its own step by step and asks PostgreSQL what our statements cost.

PLAN is JSON: {"orders": [...], "shops": [...], "spread": orders for the second}. The product's own functions run once
in a transaction that is rolled back; each statement that they sent is then explained with ANALYZE, several times.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from statistics import median
from types import SimpleNamespace
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connector.settings")
if not apps.ready:
    django.setup()

from django.db import connection, transaction
from django.utils import timezone

from bench.pages import multiply
from connector import clock, jobs, listing, neighbours, pulls, webhooks
from connector.models import Connection, InboxEvent, Order, Parcel
from connector.postgres.prepared import Statement
from connector.states import OrderState, ParcelState
from shopify_app.models import Shop
from tiktok.models import Seller
from tiktok.models import Shop as TikTokShop

REPEATS = 9
USUAL_SHOPS = 10
DUE = 50  # orders that are due now, whatever else the tables hold
PAGE = 50  # orders of one page of TikTok's search
BATCH = 8  # rows of one claim
ENDED = "mod(n, 1000) <> 0"  # one in a thousand is still on its way: a day's orders out of a year and a half
ORDER_COLUMNS = {
    "tiktok_id": "'5990' || lpad(n::text, 14, '0')",
    "state": f"CASE WHEN {ENDED} THEN 'completed' ELSE 'on_hold' END",
    "due_at": f"CASE WHEN {ENDED} THEN NULL ELSE now() + interval '1 hour' END",
    "placed_at": "now() - n * interval '13 seconds'",
    "finalized_at": f"CASE WHEN {ENDED} THEN now() - n * interval '13 seconds' END",
    "draft_gid": "'gid://shopify/DraftOrder/99' || n",
    "draft_name": "'#D9' || n",
    "order_gid": "'gid://shopify/Order/99' || n",
    "order_name": "'#9' || n",
}
EVENT_COLUMNS = {
    "key": "'grown-' || n",
    "due_at": "NULL",
    "done_at": "now() - n * interval '2 seconds'",
    "received_at": "now() - n * interval '2 seconds'",
}
PARCEL_COLUMNS = {
    "order_id": "o.id",
    "shop_id": "o.shop_id",
    "fulfillment_gid": "'gid://shopify/Fulfillment/9' || o.id",
    "number": "'1Z' || lpad(o.id::text, 16, '0')",
    "accepted_at": "o.placed_at + interval '1 day'",
}
EMPTY = "TRUNCATE connector_order, connector_inboxevent, connector_connection, shopify_app_shop, tiktok_seller CASCADE"
READS_AND_WRITES = ("SELECT", "(SELECT", "WITH", "INSERT", "UPDATE", "DELETE")

Costs = dict[str, list[tuple[int, float]]]


def main() -> None:
    plan = json.loads(sys.argv[1])
    found = {"orders": over_orders(plan["orders"]), "shops": over_shops(plan["shops"], plan["spread"])}
    json.dump(found, sys.stdout)


def over_orders(steps: Sequence[int]) -> Costs:
    found: Costs = {}
    owners = begin(USUAL_SHOPS)
    for before, orders in zip((0, *steps), steps, strict=False):
        fill(owners, before + 1, orders)
        note(found, orders, owners[0])
    return found


def over_shops(steps: Sequence[int], orders: int) -> Costs:
    found: Costs = {}
    for shops in steps:
        owners = begin(shops)
        fill(owners, 1, orders)
        note(found, shops, owners[0])
    return found


def note(found: Costs, at: int, owner: Connection) -> None:
    for name, work in works(owner).items():
        found.setdefault(name, []).append((at, cost_of(work)))


def works(owner: Connection) -> dict[str, Callable[[], Any]]:
    """What is done all day, by its name in the table: each sends the product's own statements."""
    known = list(Order.objects.filter(shop=owner.shop_id).order_by("-placed_at")[:PAGE])
    return {
        "sweep of the clock": clock.sweep,
        "which kinds of a shop are due": lambda: by_djangos_way(
            jobs.DUE_KINDS, str(owner.shop_id), timezone.now().isoformat()
        ),
        f"claim of {BATCH} orders": lambda: Order.claim(owner.shop_id, BATCH, beside=neighbours.VERSIONS),
        f"pull of {PAGE} known orders": lambda: pulls.store_orders(
            owner, [source(one.tiktok_id) for one in known]
        ),
        f"pull of {PAGE} new orders": lambda: pulls.store_orders(
            owner, [source(f"new-{n}") for n in range(PAGE)]
        ),
        "a webhook stored": lambda: ring(owner),
        "first page of the list": lambda: listing.page_of(owner.shop, listing.Wish()),
    }


def source(tiktok_id: str) -> Any:
    """As much of TikTok's order as a pull looks at."""
    now = timezone.now()
    times = {"create_time": now, "update_time": now, "paid_time": now}
    return SimpleNamespace(id=tiktok_id, status="ON_HOLD", is_buyer_request_cancel=False, **times)


def ring(owner: Connection) -> None:
    now, shop = timezone.now(), owner.tiktok_shop.shop_id
    values = webhooks.values_of(
        owner=shop,
        key=f"ring-{now.timestamp()}",
        topic="ORDER_STATUS_CHANGE",
        subject="1",
        facts={"shop_id": shop},
        triggered_at=now,
        live=True,
    )
    by_djangos_way(webhooks.STORE_TIKTOK, *(value.decode() for value in values))


def by_djangos_way(statement: Statement, *values: str) -> None:
    """The words of a statement that is sent by libpq itself, where nobody can listen."""
    sql = re.sub(r"\$(\d)", r"%(_\1)s", statement.sql.decode())
    with connection.cursor() as cursor:
        cursor.execute(sql, {f"_{n}": value for n, value in enumerate(values, 1)})


# ---- what a statement costs ----------------------------------------------------------------------


def cost_of(work: Callable[[], Any]) -> float:
    """Milliseconds that PostgreSQL executes the statements of this work: medians, added up."""
    return sum(median(explain(sql, params) for _ in range(REPEATS)) for sql, params in statements(work))


def statements(work: Callable[[], Any]) -> list[tuple[str, Any]]:
    """What it sends to PostgreSQL. Nothing of it stays."""
    sent: list[tuple[str, Any]] = []

    def keep(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(READS_AND_WRITES):
            sent.append((sql, params))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(keep):
        work()
        transaction.set_rollback(True)
    return sent


def explain(sql: str, params: Any) -> float:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", params)
        [plan] = cursor.fetchone()[0]
        transaction.set_rollback(True)
    return float(plan["Execution Time"])


# ---- the tables ----------------------------------------------------------------------------------


def begin(shops: int) -> list[Connection]:
    """Empty tables but for so many connected shops, the first with orders that are due now."""
    now, later = timezone.now(), timezone.now() + timedelta(hours=1)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(EMPTY)
    seller = Seller.objects.create(
        app="US", access_expires_at=later, refresh_expires_at=later, granted_at=now, open_id="grown"
    )
    stores = Shop.objects.bulk_create(Shop(domain=f"grown-{n}.myshopify.com") for n in range(shops))
    feeds = TikTokShop.objects.bulk_create(TikTokShop(seller=seller, shop_id=str(n)) for n in range(shops))
    owners = Connection.objects.bulk_create(
        Connection(
            shop=store, tiktok_shop=feed, due_at=later, started_at=now - timedelta(days=1), prepared_at=now
        )
        for store, feed in zip(stores, feeds, strict=True)
    )
    Order.objects.bulk_create(
        Order(connection=owners[0], shop=stores[0], tiktok_id=f"due-{n}", due_at=now, placed_at=now)
        for n in range(DUE)
    )
    return owners


def fill(owners: Sequence[Connection], first: int, last: int) -> None:
    """Ended orders of the past over all shops, with an event each, and a parcel for every second one."""
    numbers = f"generate_series({first}, {last}) n"
    of_shop, of_connection = (
        f"(ARRAY[{', '.join(str(id) for id in ids)}]::bigint[])[1 + mod(n, {len(owners)})]"
        for ids in ([one.shop_id for one in owners], [one.pk for one in owners])
    )
    order = Order.objects.create(
        connection=owners[0], shop_id=owners[0].shop_id, tiktok_id="template", currency="USD"
    )
    event = InboxEvent.objects.create(
        shop_id=owners[0].shop_id, source="tiktok", key="template", topic="ORDER_STATUS_CHANGE", facts={}
    )
    parcel = Parcel.objects.create(
        order=order, shop_id=owners[0].shop_id, state=ParcelState.ACCEPTED, number="template", company="UPS"
    )
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no foreign key is looked up
    multiply(Order, order.pk, ORDER_COLUMNS | {"shop_id": of_shop, "connection_id": of_connection}, numbers)
    multiply(InboxEvent, event.pk, EVENT_COLUMNS | {"shop_id": of_shop}, numbers)
    shipped = f"""connector_order o WHERE o.state = '{OrderState.COMPLETED}' AND mod(o.id, 2) = 0
                  AND NOT EXISTS (SELECT FROM connector_parcel p WHERE p.order_id = o.id)"""
    multiply(Parcel, parcel.pk, PARCEL_COLUMNS, shipped)
    for one in (parcel, event, order):
        one.delete()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
