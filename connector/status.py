"""What machines ask: is the process up, may it take traffic, how is the whole. The last two answers need a token."""

import hmac
from threading import Event
from typing import Any

import django_rq
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Min, QuerySet
from django.db.models.functions import Coalesce, Least
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

import shopify_app.budget
import tiktok.budget
from connector.models import ASKING, ROWS, Alert, Connection, Heartbeat, InboxEvent, Order

SIDES = ("tiktok", "shopify")
migrated = Event()  # once set it stays so for this process


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and has all migrations. Nothing else: a late clock must never take web hosts out."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not migrated.is_set() and all_migrated():
            migrated.set()
    except DatabaseError:
        return HttpResponse("the database does not answer", status=503, content_type="text/plain")
    if not migrated.is_set():
        return HttpResponse(
            "migrations are missing: run manage.py migrate", status=503, content_type="text/plain"
        )
    return HttpResponse("ok", content_type="text/plain")


def statusz(request: HttpRequest) -> HttpResponse:
    if not allowed(request):
        return HttpResponse(status=404)
    return JsonResponse(status())


def metrics(request: HttpRequest) -> HttpResponse:
    if not allowed(request):
        return HttpResponse(status=404)
    registry = CollectorRegistry()
    now = status()
    gauge(registry, "valkey_up", "1 when Valkey answers", float(now["valkey"] == "ok"))
    gauge(registry, "clock_age_seconds", "Since the clock's last beat", now["clock_age_seconds"])
    gauge(
        registry,
        "pull_age_seconds",
        "Of the active connections: since the pull that is furthest behind, or since one without a pull was made",
        now["pull_age_seconds"],
    )
    gauge(registry, "connections_paused", "Connections that wait for a person", now["connections_paused"])
    gauge(registry, "orders_asking", "Orders that wait for a person", now["orders_asking"])
    lowest = "How full the emptiest budget of calls is, of all shops; -1 without Valkey"
    spent = "Shops whose budget is down to what is kept for live work"
    for name, text in (("lowest", lowest), ("spent", spent)):
        budget = Gauge(f"connector_budget_{name}", text, ["platform"], registry=registry)
        for platform, figures in now["budgets"].items():
            budget.labels(platform).set(figures[name])
    alerts = Gauge("connector_alerts", "What stands against connections", ["kind"], registry=registry)
    for kind, n in now["alerts"].items():
        alerts.labels(kind).set(n)
    for kind, row in now["due"].items():
        gauge(registry, f"due_{kind}", f"Rows of {kind} that are due", row["count"])
        gauge(
            registry,
            f"due_{kind}_oldest_seconds",
            f"How late the oldest due row of {kind} is",
            row["oldest_seconds"],
        )
    for kind, row in now["failing"].items():
        gauge(registry, f"failing_{kind}", f"Rows of {kind} whose tries fail", row["count"])
        gauge(
            registry,
            f"failing_{kind}_oldest_seconds",
            f"Since when the row of {kind} fails that has failed for longest",
            row["oldest_seconds"],
        )
    parked = now["parked_events"]
    gauge(registry, "parked_events", "Events that were given up on", parked["count"])
    gauge(
        registry,
        "parked_events_oldest_seconds",
        "Since when the oldest event is there that was given up on",
        parked["oldest_seconds"],
    )
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def status() -> dict[str, Any]:
    """Plain figures, the same for /statusz and /metrics. Ages in seconds, -1 where there is none yet."""
    beat = Heartbeat.objects.filter(name="clock").aggregate(at=Max("at"))["at"]
    active = Connection.objects.filter(active=True)
    # The side that is further behind counts; one that was never pulled counts from when it was connected.
    read_to = Least(*(Coalesce(f"{side}_pulled_at", f"{side}_cursor", "started_at") for side in SIDES))
    pulled = active.filter(paused_reason="").aggregate(at=Min(read_to))["at"]
    return {
        "valkey": valkey(),
        "clock_age_seconds": age(beat),
        "pull_age_seconds": age(pulled),
        "connections": active.count(),
        "connections_paused": active.exclude(paused_reason="").count(),
        "budgets": budgets(active),
        "orders_asking": Order.objects.filter(ASKING).count(),
        "alerts": dict(Alert.objects.order_by().values_list("kind").annotate(n=Count("id"))),
        "due": {kind: counted(model.due(), "due_at") for kind, model in ROWS.items()},
        "parked_events": counted(InboxEvent.parked(), "received_at"),
        "failing": {kind: counted(model.failing(), "failing_since") for kind, model in ROWS.items()},
    }


def budgets(active: QuerySet[Connection]) -> dict[str, dict[str, float]]:
    """Of the shops' budgets of calls: how full the emptiest is, -1 without Valkey, and how many are down to what is
    kept for live work, so that older orders wait."""
    domains = set(active.values_list("shop__domain", flat=True))
    shops = set(active.values_list("tiktok_shop__shop_id", flat=True))
    known = {
        "shopify": (shopify_app.budget.levels(domains), shopify_app.budget.KEPT_FOR_LIVE),
        "tiktok": (tiktok.budget.levels(shops), tiktok.budget.KEPT_FOR_LIVE),
    }
    told = {}
    for platform, (levels, kept) in known.items():
        shares = [one.share for one in levels.values()] if levels is not None else [-1.0]
        told[platform] = {
            "lowest": round(min(shares, default=1.0), 2),
            "spent": sum(0 <= share <= kept for share in shares),
        }
    return told


def counted(rows: QuerySet[Any], since: str) -> dict[str, float]:
    """How many rows, and how old the oldest is."""
    found = rows.aggregate(count=Count("id"), oldest=Min(since))
    return {"count": found["count"], "oldest_seconds": max(0, age(found["oldest"]))}


def valkey() -> str:
    try:
        django_rq.get_connection("default").ping()
    except redis.RedisError as error:
        return type(error).__name__
    return "ok"


def all_migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def allowed(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(settings.STATUS_TOKEN) and hmac.compare_digest(given.encode(), settings.STATUS_TOKEN.encode())


def age(at: Any) -> float:
    return -1.0 if at is None else (timezone.now() - at).total_seconds()


def gauge(registry: CollectorRegistry, name: str, text: str, value: float) -> None:
    Gauge(f"connector_{name}", text, registry=registry).set(value)
