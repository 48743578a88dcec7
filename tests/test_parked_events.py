"""An event that was given up on is counted, and a pull that sees its cause again has it tried again."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from test_docs import OPERATIONS, blocks_of, run

from connector import work
from connector.models import InboxEvent
from connector.work import MAX_BUGS
from tests.shopify_script import make_shop

FACTS = {"id": "gid://shopify/Fulfillment/1", "order_id": "gid://shopify/Order/1", "status": "SUCCESS"}
NOW = timezone.now()


@pytest.fixture
def shop(db):
    return make_shop()


def ring(shop) -> None:
    InboxEvent.ring("shopify", "fulfillments/update", shop.pk, FACTS, NOW)


def broken(event: InboxEvent) -> None:
    raise work.tiktok.errors.Rejected("no", code="1")


def gave_up(shop) -> InboxEvent:
    """It was tried as often as we try, and refused."""
    ring(shop)
    InboxEvent.objects.update(attempts=MAX_BUGS, failing_since=NOW)
    [event] = InboxEvent.claim(shop.pk, 1)
    work.run(event, broken)
    return InboxEvent.objects.get()


def test_a_pull_revives_an_event_that_was_given_up_on(shop):
    assert gave_up(shop).due_at is None
    ring(shop)
    event = InboxEvent.objects.get()
    assert event.due_at <= timezone.now()
    assert (event.attempts, event.failing_since, event.last_error, event.outcome) == (0, None, "", "")


def test_an_operator_revives_what_was_given_up_on_by_the_guides_statement(shop):
    gave_up(shop)
    run(blocks_of(OPERATIONS, "sql")[-1])
    event = InboxEvent.objects.get()
    assert (event.due_at is None, event.attempts, event.outcome) == (False, 0, "")


def test_a_pull_changes_nothing_of_an_event_that_waits_or_is_answered(shop):
    ring(shop)
    later = timezone.now() + timedelta(hours=1)
    InboxEvent.objects.update(due_at=later, attempts=3)
    ring(shop)
    assert InboxEvent.objects.filter(due_at=later, attempts=3).count() == 1
    InboxEvent.objects.update(due_at=None, done_at=NOW, outcome="done")
    ring(shop)
    assert InboxEvent.objects.filter(due_at=None, outcome="done").count() == 1


def test_events_that_were_given_up_on_are_counted_and_logged(shop, settings, caplog):
    ring(shop)
    settings.STATUS_TOKEN = "open"
    token = {"Authorization": "Bearer open"}
    assert Client().get("/statusz", headers=token).json()["parked_events"] == {
        "count": 0,
        "oldest_seconds": 0,
    }
    gave_up(shop)
    InboxEvent.objects.update(received_at=NOW - timedelta(hours=1))
    parked = Client().get("/statusz", headers=token).json()["parked_events"]
    assert parked["count"] == 1 and 3600 <= parked["oldest_seconds"] < 3700
    figures = Client().get("/metrics", headers=token).content.decode()
    assert "connector_parked_events 1.0" in figures and "connector_parked_events_oldest_seconds" in figures
    assert [record.topic for record in caplog.records if record.message == "event parked"] == [
        "fulfillments/update"
    ]
