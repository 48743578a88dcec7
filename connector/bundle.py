"""A file for a support request: versions, settings, health and counts. No secret, nothing of a buyer or a user."""

import platform
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.utils import timezone

import shopify_app.budget
import tiktok.budget
from connector import figures, guide, status
from connector.chosen import connections
from connector.health import health
from connector.models import Connection, Heartbeat, InboxEvent, Order, Parcel
from shopify_app.models import Shop

PACKAGES = ("django", "django-rq", "psycopg", "requests", "ShopifyAPI", "django-htmx", "rq", "redis")
# Named one by one: a new setting is told only when somebody says that it is no secret.
TOLD = (
    "APP_URL",
    "DEBUG",
    "SHOPIFY_API_VERSION",
    "SHOPIFY_APP_HANDLE",
    "SHOPIFY_SCOPES",
    "TIKTOK_SHIP_VERSION",
    "HOLD_EXPECTED",
    "HOLD_LOOK_AGAIN",
    "SKU_LOOK_AGAIN",
    "PULL_EVERY",
    "PULL_OVERLAP",
    "SWEEP_SECONDS",
    "WORK_LEASE",
    "CALL_DEADLINE_SECONDS",
    "RECOVERY_WAITS",
    "BACKOFF_MAX",
    "PARK_AFTER",
    "TRACKING_EDIT_WINDOW",
    "KEEP_EVENTS",
    "KEEP_ORDERS",
    "DRAIN_THREADS",
    "WORKER_PROCESSES",
)
LAST_ERRORS = 20


def bundle(shop: Shop) -> dict[str, Any]:
    """The whole file as JSON values."""
    return {
        "made_at": timezone.now().isoformat(),
        "versions": {"python": platform.python_version()} | {name: installed(name) for name in PACKAGES},
        "settings": {name: plain(getattr(settings, name)) for name in TOLD},
        "registrations": {app: facts["api_url"] for app, facts in settings.TIKTOK_APPS.items()},
        "service": {"valkey": status.valkey(), "clock_beat": moment(last_beat())},
        "store": store(shop),
        "connections": [connection_facts(one) for one in connections(shop).order_by("pk")],
        "orders_by_state": counted(Order, shop, "state"),
        "orders_by_reason": counted(Order, shop, "reason"),
        "parcels_by_state": counted(Parcel, shop, "state"),
        "waiting": {one.reason.code: one.n for one in figures.attention(shop).waiting},
        "last_errors": {model.__name__: last_errors(model, shop) for model in (Order, Parcel, InboxEvent)},
    }


def last_beat() -> datetime | None:
    return Heartbeat.objects.filter(name="clock").values_list("at", flat=True).first()


def store(shop: Shop) -> dict[str, Any]:
    return {
        "domain": shop.domain,
        "plan": shop.plan,
        "currency": shop.currency,
        "currencies": shop.currencies,
        "timezone": shop.timezone,
        "scopes": shop.scopes,
        "missing_scopes": list(shop.missing_scopes()),
        "paused_reason": shop.paused_reason,
        "last_webhook_at": moment(shop.last_webhook_at),
        "access_expires_at": moment(shop.access_expires_at),
        "refresh_expires_at": moment(shop.refresh_expires_at),
    }


def connection_facts(one: Connection) -> dict[str, Any]:
    seller = one.tiktok_shop.seller
    return {
        "tiktok_shop": one.tiktok_shop.shop_id,
        "region": one.tiktok_shop.region,
        "registration": seller.app,
        "scopes": seller.scopes,
        "health": health(one).state,
        "budgets": budgets(one),
        "active": one.active,
        "paused_reason": one.paused_reason,
        "paused_words": one.paused_words,
        "last_error": one.last_error,
        "policy": one.policy.to_json(),
        "setup": {found.step: found.mark for found in guide.findings(one)},
        "setup_answers": one.setup,
        **{name: moment(getattr(one, name)) for name in TIMES},
        "access_expires_at": moment(seller.access_expires_at),
        "refresh_expires_at": moment(seller.refresh_expires_at),
    }


def budgets(one: Connection) -> dict[str, Any]:
    """What may be called now; nothing where the shop has all, or Valkey is away."""
    points = shopify_app.budget.levels([one.shop.domain]) or {}
    calls = tiktok.budget.levels([one.tiktok_shop.shop_id]) or {}
    found = {"shopify": points.get(one.shop.domain), "tiktok": calls.get(one.tiktok_shop.shop_id)}
    return {
        side: {name: round(figure, 1) for name, figure in asdict(level).items()}
        for side, level in found.items()
        if level
    }


TIMES = (
    "started_at",
    "due_at",
    "tiktok_pulled_at",
    "shopify_pulled_at",
    "last_webhook_at",
    "setup_checked_at",
    "products_read_at",
    "providers_read_at",
)


def counted(model: Any, shop: Shop, by: str) -> dict[str, int]:
    return dict(model.objects.filter(shop=shop).order_by(by).values_list(by).annotate(n=Count("pk")))


def last_errors(model: Any, shop: Shop) -> list[dict[str, Any]]:
    """The newest rows that say what went wrong. The words were cleaned of personal data before they were stored."""
    rows = model.objects.filter(shop=shop).exclude(last_error="").order_by("-pk")[:LAST_ERRORS]
    return [
        {"row": row.ref, "attempts": row.attempts, "error": row.last_error, "due_at": moment(row.due_at)}
        for row in rows
    ]


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def moment(at: Any) -> str | None:
    return at.isoformat() if at else None


def plain(value: Any) -> Any:
    """A setting as JSON has it; a stretch of time as text."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) else str(value)
