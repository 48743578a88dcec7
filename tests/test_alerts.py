"""What a merchant hears of although nobody looks: once for each cause, by metric and mail."""

from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from connector import alerts, clock, status
from connector.models import Alert, Connection, Heartbeat, Order, Parcel
from connector.states import OrderState, ParcelState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor

HOUR = timedelta(hours=1)
ID = "577000000000000001"


@pytest.fixture
def connection(transactional_db, settings):
    settings.EMAIL_URL, settings.EMAIL_FROM = "memorymail://", "alerts@example.com"
    connection = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    Connection.objects.update(settings={"alert_email": "owner@fig.example"}, due_at=None)
    connection.refresh_from_db()
    return connection


def watch(ahead: timedelta = timedelta(0)) -> None:
    told = alerts.watch(timezone.now() + ahead)
    if told is not None:
        told.result(20)


def standing() -> set[tuple[str, str]]:
    return set(Alert.objects.values_list("kind", "subject"))


def to_ship(connection, **facts) -> Order:
    return plant(connection, ID, OrderState.FINALIZED, **({"ship_by_at": timezone.now() + 13 * HOUR} | facts))


def test_a_lost_permission_is_told_once_and_again_only_when_it_is_lost_again(connection):
    for _ in range(2):
        connection.pause("tiktok_access_lost")
        watch()
        watch()
        connection.resume()
        Connection.objects.update(due_at=None)
        watch()
        assert standing() == set()
    assert [letter.to for letter in mail.outbox] == [["owner@fig.example"]] * 2
    assert mail.outbox[0].subject == "Fig & Fleece: something needs you"
    assert "TikTok has taken back the permission" in mail.outbox[0].body


@pytest.mark.parametrize("reason", ["connection_paused", "uninstalled"])
def test_who_stopped_it_himself_is_not_told(connection, reason):
    connection.pause(reason)
    to_ship(connection, ship_by_at=timezone.now() + HOUR)
    watch()
    assert standing() == set()


def test_a_deadline_is_told_twelve_hours_before_and_four_hours_before_and_is_over_when_it_is_shipped(
    connection,
):
    order = to_ship(connection)
    watch()
    assert standing() == set()
    watch(2 * HOUR)
    watch(3 * HOUR)
    assert standing() == {("deadline_12", ID)}
    watch(10 * HOUR)
    assert standing() == {("deadline_4", ID)}
    assert len(mail.outbox) == 2 and f"TikTok order {ID} is not shipped. Ship by " in mail.outbox[1].body
    Order.objects.filter(pk=order.pk).update(state=OrderState.SHIPPED)
    watch(10 * HOUR)
    assert standing() == set()


def test_an_order_that_waits_for_a_person_is_told_before_its_deadline_too(connection):
    soon = timezone.now() + 3 * HOUR
    plant(connection, ID, OrderState.RECEIVED, reason="sku_unmapped", ship_by_at=soon)
    watch()
    assert standing() == {("deadline_4", ID)}


def test_a_number_that_tiktok_does_not_have_is_told_before_the_deadline(connection):
    order = to_ship(connection, ship_by_at=timezone.now() + 11 * HOUR)
    number = {"fulfillment_gid": "gid://shopify/Fulfillment/1", "number": "1Z", "company": "Pigeon"}
    parcel = Parcel.objects.create(order=order, shop_id=order.shop_id, reason="carrier_unknown", **number)
    watch()
    assert standing() == {("tracking_12", ID)}
    assert "its tracking number has not reached TikTok" in mail.outbox[0].body
    Parcel.objects.filter(pk=parcel.pk).update(state=ParcelState.ACCEPTED, reason="")
    Order.objects.update(state=OrderState.SHIPPED)
    watch()
    assert standing() == set()


def test_an_order_past_its_ship_by_time_is_told_again_before_tiktok_cancels_it(connection):
    to_ship(connection, ship_by_at=timezone.now() + HOUR, ship_due_at=timezone.now() + 96 * HOUR)
    watch()
    watch(2 * HOUR)
    assert standing() == {("deadline_4", ID)}
    watch(85 * HOUR)
    watch(93 * HOUR)
    assert standing() == {("unshipped_4", ID)}
    assert [letter.body.splitlines()[0].partition(" by ")[0] for letter in mail.outbox] == [
        f"- TikTok order {ID} is not shipped. Ship",
        f"- TikTok order {ID}: TikTok cancels it if it is not shipped",
        f"- TikTok order {ID}: TikTok cancels it if it is not shipped",
    ]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"ship_due_at": 3}, "unshipped_4"),
        ({"ship_by_at": 9, "ship_due_at": 9}, "unshipped_12"),
        ({"ship_by_at": 3, "delivery_due_at": 11}, "deadline_4"),
        ({"ship_by_at": 20, "hand_over_by_at": 11}, "scan_12"),
        ({"release_at": 3, "ship_by_at": 20}, None),
    ],
)
def test_of_several_deadlines_the_next_one_is_told_once(connection, facts, kind):
    now = timezone.now()
    to_ship(connection, **{"ship_by_at": None} | {name: now + n * HOUR for name, n in facts.items()})
    watch()
    assert standing() == ({(kind, ID)} if kind else set())


@pytest.mark.parametrize(
    ("status_at_tiktok", "facts", "kind"),
    [
        ("AWAITING_COLLECTION", {"ship_by_at": 1}, None),
        ("AWAITING_COLLECTION", {"ship_by_at": 1, "hand_over_by_at": 10}, "scan_12"),
        ("AWAITING_COLLECTION", {"hand_over_by_at": -2, "collection_due_at": 2}, "uncollected_4"),
        ("IN_TRANSIT", {"hand_over_by_at": 1, "collection_due_at": 2}, None),
        ("IN_TRANSIT", {"collection_due_at": 2, "delivery_due_at": 5}, "undelivered_12"),
    ],
)
def test_a_shipped_order_has_the_deadlines_of_its_parcel(connection, status_at_tiktok, facts, kind):
    times = {name: timezone.now() + n * HOUR for name, n in facts.items()}
    plant(connection, ID, OrderState.SHIPPED, tiktok_status=status_at_tiktok, **times)
    watch()
    assert standing() == ({(kind, ID)} if kind else set())


def test_a_number_that_is_on_its_way_to_tiktok_is_nobodys_alarm(connection):
    order = to_ship(connection, ship_by_at=timezone.now() + HOUR, ship_due_at=timezone.now() + 2 * HOUR)
    number = {"fulfillment_gid": "gid://shopify/Fulfillment/1", "number": "1Z", "company": "UPS"}
    Parcel.objects.create(order=order, shop_id=order.shop_id, due_at=timezone.now(), **number)
    watch()
    assert standing() == set()


def test_rows_that_nobody_works_on_are_told_after_a_quarter_of_an_hour(connection):
    plant(connection, ID, OrderState.RECEIVED, due_at=timezone.now() - timedelta(minutes=14))
    watch()
    assert standing() == set()
    watch(timedelta(minutes=2))
    assert standing() == {("stuck", "")}


def test_a_mail_server_that_does_not_answer_is_tried_again_and_not_for_ever(connection, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    connection.pause("shopify_access_lost")
    for _ in range(7):
        watch()
    assert list(Alert.objects.values_list("told_at", "tries")) == [(None, alerts.MOST_TRIES)]


def test_without_an_address_or_a_mail_server_nothing_is_sent_and_the_metric_tells(connection, settings):
    Connection.objects.update(settings={})
    connection.pause("tiktok_access_lost")
    watch()
    settings.EMAIL_URL = ""
    Connection.objects.update(settings={"alert_email": "owner@fig.example"})
    watch()
    assert mail.outbox == []
    assert status.status()["alerts"] == {"paused": 1}
    settings.STATUS_TOKEN = "open"
    page = Client().get("/metrics", headers={"Authorization": "Bearer open"})
    assert 'connector_alerts{kind="paused"} 1.0' in page.content.decode()


def test_the_clock_watches(connection):
    connection.pause("tiktok_access_lost")
    Heartbeat.objects.all().delete()
    clock.tick()
    assert standing() == {("paused", "tiktok_access_lost")}


def test_a_merchant_gives_the_address_in_the_settings(connection):
    page = Visitor(connection.shop.domain).open("/settings")
    assert "One mail for each cause" in page.content.decode() and "owner@fig.example" in page.content.decode()
