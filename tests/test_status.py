"""What machines ask: /readyz speaks of the database and its migrations only, /statusz tells what is dead."""

import re
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection as database
from django.db import connections
from django.test import Client
from django.utils import timezone

import tiktok.budget
from connector import status
from connector.bundle import bundle
from connector.models import Connection, Heartbeat
from shopify_app.budget import Budget
from tests.planting import connect
from tests.shopify_script import make_shop
from tiktok.endpoints import ORDERS


@pytest.fixture
def no_valkey(monkeypatch):
    monkeypatch.setitem(django_settings.RQ_QUEUES["default"], "URL", "redis://127.0.0.1:1/0")


def statusz(settings):
    settings.STATUS_TOKEN = "open"
    return Client().get("/statusz", headers={"Authorization": "Bearer open"}).json()


def test_a_lost_valkey_and_a_silent_clock_take_no_web_host_out(db, no_valkey):
    Heartbeat.objects.all().delete()
    assert Client().get("/readyz").status_code == 200


def test_a_host_whose_database_lacks_a_migration_is_not_ready(db):
    status.migrated.clear()  # a process that has just begun
    with database.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'connector'")
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"migrations are missing: run manage.py migrate")


def test_a_host_without_its_database_is_not_ready(transactional_db):
    connections.close_all()
    conf = django_settings.DATABASES["default"]
    name, conf["NAME"] = conf["NAME"], "nowhere"
    try:
        answer = Client().get("/readyz")
    finally:
        conf["NAME"] = name
        connections.close_all()
    assert (answer.status_code, answer.content) == (503, b"the database does not answer")


def test_the_status_tells_that_valkey_is_dead(db, settings, no_valkey):
    assert statusz(settings)["valkey"] == "ConnectionError"


def test_the_status_tells_that_valkey_lives(db, settings):
    assert statusz(settings)["valkey"] == "ok"


def test_the_status_tells_how_long_the_clock_has_been_silent(db, settings):
    Heartbeat.objects.all().delete()
    assert statusz(settings)["clock_age_seconds"] == -1
    Heartbeat.objects.create(name="clock", at=timezone.now() - timedelta(minutes=7))
    assert 420 <= statusz(settings)["clock_age_seconds"] < 480


def test_the_status_tells_how_old_the_oldest_pull_is(db, settings):
    shop = make_shop()
    for number, minutes in (("7495000000000000001", 1), ("7495000000000000002", 30)):
        one = connect(shop, number, "Fig & Fleece")
        pulled = timezone.now() - timedelta(minutes=minutes)
        Connection.objects.filter(pk=one.pk).update(
            tiktok_pulled_at=pulled, shopify_pulled_at=timezone.now(), due_at=None
        )
    assert 1800 <= statusz(settings)["pull_age_seconds"] < 1860


def test_the_status_tells_how_far_the_budgets_are_spent(db, settings):
    one = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    full = {"lowest": 1.0, "spent": 0}
    assert statusz(settings)["budgets"] == {"shopify": full, "tiktok": full}
    Budget(one.shop.domain, live=True).take(1900)
    told = statusz(settings)["budgets"]
    assert 0.05 <= told["shopify"]["lowest"] < 0.2 and told["shopify"]["spent"] == 1
    assert told["tiktok"] == full
    tiktok.budget.shrink(one.tiktok_shop.shop_id, ORDERS, retry_after=60)
    assert statusz(settings)["budgets"]["tiktok"] == {"lowest": 0.0, "spent": 1}
    page = Client().get("/metrics", headers={"Authorization": "Bearer open"}).content.decode()
    assert 'connector_budget_spent{platform="tiktok"} 1.0' in page
    assert 'connector_budget_lowest{platform="tiktok"} 0.0' in page
    [told_of] = bundle(one.shop)["connections"]
    assert told_of["budgets"]["shopify"]["maximum"] == 2000 and told_of["budgets"]["tiktok"]["calls"] == 0


def test_without_valkey_nobody_knows_the_budgets(db, settings):
    connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    tiktok.budget.limiter.cache_clear()
    unknown = {"lowest": -1.0, "spent": 0}
    try:
        assert statusz(settings)["budgets"] == {"shopify": unknown, "tiktok": unknown}
    finally:
        tiktok.budget.limiter.cache_clear()


@pytest.mark.parametrize("side", ["tiktok", "shopify"])
def test_the_status_tells_of_a_pull_that_is_dead_while_the_other_goes_on(db, settings, side):
    connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    now = timezone.now()
    pulled = {"tiktok_pulled_at": now, "shopify_pulled_at": now}
    Connection.objects.update(started_at=now - timedelta(days=9), **pulled)
    assert 0 <= statusz(settings)["pull_age_seconds"] < 60
    Connection.objects.update(**{f"{side}_pulled_at": now - timedelta(hours=2)})
    assert 7200 <= statusz(settings)["pull_age_seconds"] < 7260
    Connection.objects.update(**{f"{side}_pulled_at": None, f"{side}_cursor": now - timedelta(hours=3)})
    assert 10_800 <= statusz(settings)["pull_age_seconds"] < 10_860
    token = {"Authorization": "Bearer open"}
    found = re.search(
        r"connector_pull_age_seconds ([\d.]+)", Client().get("/metrics", headers=token).content.decode()
    )
    assert 10_800 <= float(found[1]) < 10_860


def test_the_status_tells_of_a_connection_that_was_never_pulled(db, settings):
    shop = make_shop()
    pulled = connect(shop, "7495000000000000001", "Fig & Fleece")
    Connection.objects.filter(pk=pulled.pk).update(tiktok_pulled_at=timezone.now())
    never = connect(shop, "7495000000000000002", "Harbor Goods")
    began = timezone.now() - timedelta(hours=1)
    Connection.objects.filter(pk=never.pk).update(started_at=began)
    assert 3600 <= statusz(settings)["pull_age_seconds"] < 3660
    Connection.objects.filter(pk=never.pk).update(paused_reason="connection_paused")
    assert 0 <= statusz(settings)["pull_age_seconds"] < 60


def test_a_connection_that_goes_on_after_a_pause_counts_from_where_it_has_read_to(db, settings):
    one = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    began, read_to = (timezone.now() - timedelta(days=days) for days in (90, 1))
    Connection.objects.filter(pk=one.pk).update(
        started_at=began,
        tiktok_cursor=read_to,
        tiktok_pulled_at=read_to,
        shopify_cursor=read_to,
        shopify_pulled_at=read_to,
        paused_reason="tiktok_access_lost",
    )
    Connection.objects.get(pk=one.pk).resume()
    assert 86_400 <= statusz(settings)["pull_age_seconds"] < 86_460
