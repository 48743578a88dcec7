"""What is forgotten, when and how: compliance topics, a redacted shop, the clock's purge."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from connector import clock, jobs
from connector.models import FORGET_BATCH, Audit, ConnectionLog, InboxEvent, Order, OrderLog
from connector.states import OrderState as State
from shopify_app.models import Shop
from tests.planting import connect, plant, plant_one_of_each
from tests.shopify_script import make_shop
from tests.test_flood import flood
from tests.test_intake import DOMAIN, from_shopify
from tests.visits import Visitor, text
from tiktok.models import Seller

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
COMPLIANCE = {
    "customers/data_request": {
        "orders_requested": [11],
        "customer": {"email": "ana@example.com", "phone": "+1512"},
    },
    "customers/redact": {"orders_to_redact": [11], "customer": {"email": "ana@example.com"}},
}


@pytest.fixture
def shop(transactional_db):
    return make_shop(domain=DOMAIN)


def ring(topic: str, **body: Any) -> None:
    told = json.dumps({"shop_id": 1, "shop_domain": DOMAIN} | body).encode()
    answer = from_shopify(told, X_Shopify_Topic=topic, X_Shopify_Webhook_Id=topic)
    assert answer.status_code == 200


# ---- compliance ----


def test_requests_about_a_customer_are_answered_within_a_minute_and_recorded_without_the_customer(shop):
    order = plant(connect(shop, "7", "Fig"), "577", State.FINALIZED, order_gid="gid://shopify/Order/11")
    for topic, body in COMPLIANCE.items():
        ring(topic, **body)
    jobs.drain(shop.pk)
    for event in InboxEvent.objects.all():
        assert event.done_at - event.received_at < MINUTE
        assert event.outcome.startswith("1 orders") and "no personal data held" in event.outcome
        assert "ana@" not in json.dumps(event.facts)
    assert [row.what for row in OrderLog.objects.filter(order=order)] == ["redacted"]


def test_a_flood_of_other_events_does_not_keep_them_waiting(shop, settings):
    """Thousands that came before, live like themselves, of the same shop: one look answers the requests."""
    settings.DRAIN_TURN_SECONDS = 0
    flood(shop, 5000)
    for topic, body in COMPLIANCE.items():
        ring(topic, **body)
    jobs.drain(shop.pk)
    answered = dict(InboxEvent.objects.filter(topic__in=COMPLIANCE).values_list("topic", "outcome"))
    assert answered.keys() == COMPLIANCE.keys() and all(answered.values())
    assert InboxEvent.objects.filter(done_at=None).count() > 4900


def test_whichever_kind_has_its_turn_requests_about_people_go_first(shop):
    connection = connect(shop, "7", "Fig")
    flood(shop, 10)
    plant(connection, "577", State.ON_HOLD, due_at=timezone.now())
    for topic, body in COMPLIANCE.items():
        ring(topic, **body)
    for number in range(2 * jobs.OTHERS_FIRST * len(jobs.KINDS)):
        assert {getattr(row, "topic", "") for row in jobs.claim(shop.pk, 2, number)} == set(COMPLIANCE)
        InboxEvent.objects.update(leased_until=None)


def test_a_shop_is_redacted_before_what_else_came_of_it_is_answered(shop):
    flood(shop, 5000)
    Shop.objects.filter(pk=shop.pk).update(uninstalled_at=timezone.now())
    ring("shop/redact", shop_id=1)
    [first] = jobs.claim(shop.pk, 1)
    assert first.topic == "shop/redact"


# ---- a shop that is gone ----


def belongs_to_a_shop(model: Any, seen: tuple[Any, ...] = ()) -> bool:
    """By a foreign key, or by one that leads to a row that does."""
    targets = {field.related_model for field in model._meta.concrete_fields if field.is_relation}
    return model is Shop or any(
        belongs_to_a_shop(target, (*seen, model)) for target in targets if target not in (*seen, model)
    )


def test_a_redacted_shop_leaves_no_row_in_any_table_and_its_neighbour_all(shop):
    neighbour = make_shop(domain="neighbour.myshopify.com")
    connection = connect(neighbour, "8", "Harbor Goods")
    kept = plant(connection, "999")
    plant_one_of_each(shop)
    Order.objects.bulk_create(
        Order(shop=shop, connection=shop_connection(shop), tiktok_id=str(n)) for n in range(FORGET_BATCH + 1)
    )
    plant_log(shop)
    models = [model for model in apps.get_models() if belongs_to_a_shop(model)]
    assert len(models) > 10
    for model in models:
        assert model.objects.exists(), f"{model.__name__}: plant one in plant_one_of_each"
    Shop.objects.filter(pk=shop.pk).update(uninstalled_at=timezone.now())
    ring("shop/redact", shop_id=1)
    jobs.drain(shop.pk)
    left = {model.__name__: model.objects.count() for model in models if model.objects.exists()}
    assert left == {"Shop": 1, "Connection": 1, "Order": 1, "InboxEvent": 1}
    assert Order.objects.get() == kept and Seller.objects.get() == connection.tiktok_shop.seller
    word = InboxEvent.objects.get()
    assert (word.outcome, word.shop, word.subject, word.facts, word.due_at) == (
        "redacted",
        None,
        "",
        {},
        None,
    )
    assert word.done_at - word.received_at < MINUTE


def shop_connection(shop: Shop) -> Any:
    return Order.objects.filter(shop=shop).first().connection


def plant_log(shop: Shop) -> None:
    OrderLog.objects.create(order=Order.objects.filter(shop=shop).first(), what="moved")


def test_a_redaction_that_a_worker_died_in_is_taken_up_by_the_next(shop):
    plant_one_of_each(shop)
    Shop.objects.filter(pk=shop.pk).update(uninstalled_at=timezone.now())
    ring("shop/redact", shop_id=1)
    [event] = InboxEvent.claim(shop.pk, 1)
    Order.objects.filter(shop=shop).delete()  # so far it came; then its lease lapses
    InboxEvent.objects.filter(pk=event.pk).update(leased_until=timezone.now() - MINUTE)
    jobs.drain(shop.pk)
    assert not Shop.objects.exists()


def test_a_shop_is_redacted_although_the_word_of_its_uninstall_comes_after(transactional_db):
    long_ago = timezone.now() - timedelta(days=3)
    shop = make_shop(domain=DOMAIN, access_token="", refresh_token="", installed_at=long_ago)
    plant(connect(shop, "7", "Fig"), "577")
    ring("shop/redact", shop_id=1)
    jobs.drain(shop.pk)
    assert not Shop.objects.exists() and not Order.objects.exists()
    ring("app/uninstalled")
    outcomes = InboxEvent.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["redacted", "unknown shop"]


# ---- the clock ----


def test_the_purge_takes_what_is_too_old_and_nothing_else(shop):
    planted = plant_one_of_each(shop)
    now = timezone.now()
    InboxEvent.objects.all().delete()
    flood(shop, 3 * FORGET_BATCH)
    InboxEvent.objects.update(received_at=now - settings.KEEP_EVENTS - MINUTE, due_at=None)
    waiting = InboxEvent.objects.create(
        shop=shop,
        source="tiktok",
        key="due",
        topic="x",
        received_at=now - 2 * settings.KEEP_EVENTS,
        due_at=now,
    )
    old = now - settings.KEEP_ORDERS - MINUTE
    ended = planted["older"]
    Order.objects.filter(pk=ended.pk).update(state=State.CANCELLED, changed_at=old)
    Order.objects.filter(pk=planted["order_id"].pk).update(changed_at=old)  # not ended: stays
    ConnectionLog.objects.update(at=old)
    Audit.objects.update(finished_at=old)
    clock.purge(now)
    assert list(InboxEvent.objects.all()) == [waiting]
    assert list(Order.objects.all()) == [planted["order_id"]]
    assert not ConnectionLog.objects.exists() and not Audit.objects.exists()


def test_the_purge_deletes_a_few_rows_by_each_transaction(shop):
    flood(shop, 3 * FORGET_BATCH + 1)
    connection = connect(shop, "7", "Fig")
    long_ago = timezone.now() - settings.KEEP_ORDERS - MINUTE
    Order.objects.bulk_create(
        Order(shop=shop, connection=connection, tiktok_id=str(n), state=State.CANCELLED, changed_at=long_ago)
        for n in range(FORGET_BATCH + 1)
    )
    InboxEvent.objects.update(received_at=long_ago, due_at=None)
    assert deleted_by_each(lambda: clock.purge(timezone.now())) == {
        "connector_inboxevent": [FORGET_BATCH] * 3 + [1],
        "connector_order": [FORGET_BATCH, 1],
    }


def test_one_purge_takes_no_more_than_its_batches(shop):
    flood(shop, (clock.PURGE_BATCHES + 1) * FORGET_BATCH)
    InboxEvent.objects.update(received_at=timezone.now() - settings.KEEP_EVENTS - MINUTE, due_at=None)
    found = deleted_by_each(lambda: clock.purge(timezone.now()))
    assert found == {"connector_inboxevent": [FORGET_BATCH] * clock.PURGE_BATCHES}


def test_a_shop_is_redacted_a_few_rows_by_each_transaction(shop):
    connection = connect(shop, "7", "Fig")
    Order.objects.bulk_create(
        Order(shop=shop, connection=connection, tiktok_id=str(n)) for n in range(2 * FORGET_BATCH)
    )
    Shop.objects.filter(pk=shop.pk).update(uninstalled_at=timezone.now())
    ring("shop/redact", shop_id=1)
    found = deleted_by_each(lambda: jobs.advance(InboxEvent.claim(shop.pk, 1)[0]))
    assert found["connector_order"] == [FORGET_BATCH] * 2


def deleted_by_each(deed: Callable[[], Any]) -> dict[str, list[int]]:
    """How many rows each transaction took from the two tables that grow without end."""
    found: dict[str, list[int]] = {}
    open_ones: Counter[str] = Counter()

    def close(table: str) -> None:
        if rows := open_ones.pop(table, 0):
            found.setdefault(table, []).append(rows)

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        for table in ("connector_inboxevent", "connector_order"):
            if sql.startswith(f'DELETE FROM "{table}" '):
                open_ones[table] += context["cursor"].rowcount
                transaction.on_commit(partial(close, table))
        return result

    with database.execute_wrapper(count):
        deed()
    return found


def test_settings_tell_how_long_everything_is_kept(shop, settings):
    connect(shop, "7", "Fig")
    settings.KEEP_EVENTS, settings.KEEP_ORDERS = timedelta(days=12), timedelta(days=345)
    page = text(Visitor(DOMAIN).open("/settings"))
    assert "Events are kept 12 days, orders and their history 345 days" in page
