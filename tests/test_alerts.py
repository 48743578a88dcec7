"""What a merchant hears of although nobody looks: once for each cause, by metric and mail."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone

from connector import alerts, clock, jobs, status
from connector.models import ROWS, Alert, Audit, Connection, Heartbeat, InboxEvent, Order, Parcel
from connector.states import OrderState, ParcelState
from connector.work import Work
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_proof import multiply
from tests.visits import Visitor
from tiktok.models import Seller

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


def from_now(facts: dict) -> dict:
    """The facts with times in the place of spans."""
    now = timezone.now()
    return {name: now + value if isinstance(value, timedelta) else value for name, value in facts.items()}


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


def test_a_permission_that_is_about_to_end_is_told_a_month_and_a_week_before_and_is_over_after_a_consent(
    connection,
):
    ends = timezone.now() + timedelta(days=31)
    Seller.objects.update(refresh_expires_at=ends)
    watch()
    assert standing() == set()
    watch(timedelta(days=2))
    watch(timedelta(days=20))
    assert standing() == {("grant_30", "")}
    watch(timedelta(days=25))
    watch(timedelta(days=40))
    assert standing() == {("grant_7", "")}
    assert len(mail.outbox) == 2
    assert f"TikTok's permission ends on {ends:%b} {ends.day}, {ends.year}" in mail.outbox[0].body
    Seller.objects.update(refresh_expires_at=ends + timedelta(days=365))
    watch(timedelta(days=40))
    assert standing() == set()


def test_another_importer_is_told_until_the_merchant_has_decided(connection):
    Connection.objects.update(other_connector={"tag": "skuiq", "order": "#1001"})
    watch()
    watch()
    assert standing() == {("rival", "")}
    assert [letter.body.splitlines()[0] for letter in mail.outbox] == [
        "- Another app makes Shopify orders from TikTok orders too. New orders wait until you have decided in the app."
    ]
    Connection.objects.update(other_connector_accepted_at=timezone.now())
    watch()
    assert standing() == set()


def test_two_clocks_that_overlap_tell_each_cause_once(connection):
    """The other clock has the first cause in hand, and gives it its time while we read both as untold."""
    now = timezone.now()
    first, second = (
        Alert.objects.create(connection=connection, kind=kind, since=now) for kind in ("rival", "stuck")
    )
    with ThreadPoolExecutor(1) as ours:
        with transaction.atomic():
            Alert.objects.filter(pk=first.pk).update(told_at=now)
            told = ours.submit(alerts.tell, now + HOUR)
            until(somebody_waits_for_a_lock)
        told.result(20)
    [letter] = mail.outbox
    assert [line for line in letter.body.splitlines() if line.startswith("- ")] == [
        "- Work has been waiting or failing for more than 15 minutes. It is tried again by itself, and nothing is lost."
    ]
    assert Alert.objects.get(pk=second.pk).told_at == now + HOUR


def somebody_waits_for_a_lock() -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


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
        ({"cancel_due_at": 3}, "unanswered_4"),
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


def test_a_request_to_cancel_and_the_time_to_ship_are_told_both(connection):
    now = timezone.now()
    to_ship(connection, ship_by_at=now + 3 * HOUR, cancel_due_at=now + 11 * HOUR)
    watch()
    assert standing() == {("deadline_4", ID), ("unanswered_12", ID)}
    Order.objects.update(cancel_due_at=None)
    watch()
    assert standing() == {("deadline_4", ID)}


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


def sending(order: Order, **facts) -> Parcel:
    """A number that is to reach TikTok by itself."""
    number = {"fulfillment_gid": "gid://shopify/Fulfillment/1", "number": "1Z", "company": "UPS"}
    return Parcel.objects.create(
        order=order, shop_id=order.shop_id, **number | {"due_at": timezone.now()} | facts
    )


def test_a_number_that_is_on_its_way_to_tiktok_is_nobodys_alarm(connection):
    order = to_ship(connection, ship_by_at=timezone.now() + HOUR, ship_due_at=timezone.now() + 2 * HOUR)
    sending(order, failing_since=timezone.now() - timedelta(minutes=14))
    watch()
    assert standing() == set()


@pytest.mark.parametrize(
    "facts",
    [
        {"failing_since": -20 * HOUR, "due_at": HOUR / 4},
        {"due_at": -HOUR},
        {"due_at": None},
    ],
    ids=["tiktok does not take it", "nobody sends it", "it waits for nothing"],
)
def test_a_number_that_gets_no_nearer_to_tiktok_is_told_before_the_deadline(connection, facts):
    sending(to_ship(connection, ship_by_at=timezone.now() + 3 * HOUR), **from_now(facts))
    watch()
    assert ("tracking_4", ID) in standing()


@pytest.mark.parametrize("state", [OrderState.RECEIVED, OrderState.ON_HOLD])
@pytest.mark.parametrize(
    ("facts", "is_told"),
    [
        ({"tiktok_status": "ON_HOLD", "due_at": HOUR}, False),
        ({"tiktok_status": "UNPAID", "due_at": None}, False),
        ({"tiktok_status": "AWAITING_SHIPMENT", "due_at": HOUR}, True),
        ({"tiktok_status": "ON_HOLD", "due_at": -HOUR}, True),
        ({"tiktok_status": "ON_HOLD", "failing_since": -HOUR, "due_at": HOUR / 4}, True),
    ],
    ids=["TikTok holds it", "not paid", "released", "nobody looks at it", "a platform fails"],
)  # fmt: skip
def test_an_order_that_is_not_in_shopify_is_told_before_its_deadline_unless_tiktok_holds_it(
    connection, state, facts, is_told
):
    plant(connection, ID, state, ship_by_at=timezone.now() + 3 * HOUR, **from_now(facts))
    watch()
    assert (("deadline_4", ID) in standing()) is is_told


def test_an_order_that_shopify_keeps_failing_is_told_before_its_deadline(world, settings):
    settings.BACKOFF_BASE = settings.BACKOFF_MAX = HOUR / 4
    order = world.placed()
    world.shopify.faults.add("draftOrderUpdate", "503", times=1000)
    world.release_hold()
    world.after(1000)
    order = world.order(order.tiktok_id)
    assert (order.state, order.reason) == (OrderState.ON_HOLD, "") and order.failing_since
    Order.objects.update(ship_by_at=timezone.now() + 11 * HOUR)
    watch()
    assert standing() == {("deadline_12", order.tiktok_id), ("stuck", "")}


def test_rows_that_nobody_works_on_are_told_after_a_quarter_of_an_hour(connection):
    plant(connection, ID, OrderState.RECEIVED, due_at=timezone.now() - timedelta(minutes=14))
    watch()
    assert standing() == set()
    watch(timedelta(minutes=2))
    assert standing() == {("stuck", "")}


def one_of_each(connection) -> dict[str, Work]:
    """A row of every kind, none of them due."""
    order = plant(connection, ID, OrderState.FINALIZED)
    now, shop = timezone.now(), connection.shop
    return {
        "events": InboxEvent.objects.create(shop=shop, source="shopify", key="1", topic="products/create"),
        "parcels": sending(order, due_at=None),
        "orders": order,
        "connections": connection,
        "audits": Audit.objects.create(shop=shop, connection=connection, day=now, since=now, until=now),
    }


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize(
    "trouble",
    [
        {"due_at": -HOUR},
        {"due_at": HOUR / 4, "failing_since": -HOUR},
    ],
    ids=["not taken", "only fails"],
)
def test_a_row_of_any_kind_that_comes_to_nothing_is_told_and_counted(connection, kind, trouble):
    row = one_of_each(connection)[kind]
    watch()
    assert standing() == set()
    type(row).objects.filter(pk=row.pk).update(**from_now(trouble))
    watch()
    assert standing() == {("stuck", "")}
    figure = "failing" if "failing_since" in trouble else "due"
    told = status.status()[figure]
    assert {name for name, n in told.items() if n["count"]} == {kind}
    assert 3600 <= told[kind]["oldest_seconds"] < 3700


def test_a_row_that_is_a_persons_turn_is_not_stuck_however_long_it_failed_before(connection):
    plant(
        connection,
        ID,
        OrderState.RECEIVED,
        reason="unavailable_too_long",
        failing_since=timezone.now() - 30 * HOUR,
    )
    watch()
    assert standing() == set() and status.status()["failing"]["orders"]["count"] == 0


def test_a_pull_that_is_refused_again_and_again_is_told(world):
    world.tiktok.faults.add("search_orders", "error", code=36009004, message="Internal", times=1000)
    for _ in range(3):
        world.after(901)
    watch()
    assert standing() == {("stuck", "")}
    world.tiktok.faults.clear()
    world.after(901)
    watch()
    assert standing() == set()


def test_the_rows_that_are_watched_are_all_that_are_worked_on():
    kinds = [model for model in apps.get_models() if issubclass(model, Work)]
    assert set(ROWS.values()) == set(jobs.STEPS) == set(kinds)


def test_one_shops_late_orders_neither_hide_another_shops_nor_are_said_again(connection):
    """However many they are: what is said once stands until it is over."""
    now = timezone.now()
    late = plant(connection, "model", OrderState.FINALIZED, order_gid="gid://model", ship_by_at=now - HOUR)
    multiply(
        late,
        1200,
        {
            "tiktok_id": "'late-' || i",
            "order_gid": "'gid://late/' || i",
            "ship_by_at": "now() + (i - 600) * interval '1 minute'",
        },
    )
    other = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    Connection.objects.filter(pk=other.pk).update(due_at=None)
    plant(other, ID, OrderState.FINALIZED, order_gid="gid://theirs", ship_by_at=now + 11 * HOUR)
    watch()
    assert set(Alert.objects.filter(connection=other).values_list("kind", "subject")) == {("deadline_12", ID)}
    first = set(Alert.objects.filter(connection=connection, kind="deadline_4").values_list("pk", flat=True))
    assert len(first) > 800
    for minutes in (10, 20):
        watch(timedelta(minutes=minutes))
        assert first <= set(Alert.objects.values_list("pk", flat=True))


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
