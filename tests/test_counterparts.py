"""The other half of a comparison: what Shopify has of a day; and the comparison that the clock asks for every night."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from test_proof import compared, today_of
from world import World

from connector import audits, clock, counterparts
from connector.models import Audit, Connection, Heartbeat, Order
from connector.states import OrderState
from shopify_app.sandbox import DEMO_SHOP
from tests.visits import Visitor, text


def found(world: World) -> list[tuple[str, str]]:
    audit = compared(world)
    assert (audit.words, audit.seen) == ("", []) and audit.finished_at
    return [(one["what"], one["order"]) for one in audit.findings]


@pytest.fixture
def sold(world: World) -> Order:
    """An order that never was on hold, in Shopify since a moment."""
    return world.placed(hold=False)


def test_a_day_on_which_both_shops_agree_says_how_many_orders_shopify_has(world, sold):
    assert found(world) == []
    page = text(Visitor(DEMO_SHOP).fetch(f"/proof/{today_of(world)}/comparison"))
    assert "TikTok named 1 order" in page and "Shopify has 1 order that was made on this day." in page


def test_an_order_cancelled_in_shopify_that_no_webhook_told_of_is_found_and_looked_at(world, sold):
    world.shopify.webhooks.drop(1000)
    world.store.cancel_order(sold.order_gid)
    assert found(world) == [("cancelled_in_shopify", sold.tiktok_id)]
    assert world.order(sold.tiktok_id).reason == "merchant_cancelled"
    assert found(world) == []


def test_an_order_deleted_in_shopify_that_no_webhook_told_of_is_found_and_looked_at(world, sold):
    world.shopify.webhooks.drop(1000)
    world.store.cancel_order(sold.order_gid)
    world.store.delete_order(sold.order_gid)
    assert found(world) == [("gone_from_shopify", sold.tiktok_id)]
    assert world.order(sold.tiktok_id).reason == "merchant_deleted"


def test_an_order_that_shopify_has_and_its_row_does_not_name_is_brought_home(world):
    order = world.placed()
    world.shopify.webhooks.drop(1000)
    world.store.complete_draft(order.draft_gid)
    assert found(world) == [("not_named", order.tiktok_id)]
    assert world.order(order.tiktok_id).state == OrderState.FINALIZED
    assert found(world) == []


def test_a_second_shopify_order_for_one_tiktok_order_is_told_and_left_to_a_person(world, sold):
    second = other_order(world, sold.tiktok_id)
    audit = compared(world)
    assert audit.findings == [
        {"what": "doubled_in_shopify", "order": sold.tiktok_id, "before": sold.order_name, "after": second}
    ]
    page = text(Visitor(DEMO_SHOP).fetch(f"/proof/{today_of(world)}/comparison"))
    assert "Two Shopify orders for one" in page and "cancel the other in Shopify" in page


def test_an_order_of_an_earlier_installation_is_told(world):
    other_order(world, "5779999999999999999")
    assert found(world) == [("unknown_in_shopify", "5779999999999999999")]


def test_a_total_in_shopify_that_is_not_the_one_it_was_given_is_told(world, sold):
    Order.objects.update(expected_total=sold.expected_total + 1)
    assert found(world) == [("shopify_total", sold.tiktok_id)]


def test_an_order_that_lives_in_shopify_although_it_was_cancelled_is_told(world, sold):
    world.tiktok.webhooks.drop(1000)
    world.tiktok.cancel(sold.tiktok_id)
    Order.objects.update(state=OrderState.CANCELLED, tiktok_status="CANCELLED", due_at=None)
    assert found(world) == [("alive_in_shopify", sold.tiktok_id)]


def test_what_shopify_s_lagging_search_does_not_name_yet_is_asked_for_by_its_id(world):
    world.shopify.search_lag(3600.0)
    world.placed(hold=False)
    assert found(world) == []


def test_a_day_that_shopify_shows_no_more_is_compared_with_tiktok_alone():
    assert counterparts.readable(timezone.now() - timedelta(days=58))
    assert not counterparts.readable(timezone.now() - timedelta(days=60))


def other_order(world: World, tiktok_id: str) -> str:
    """Its name. Somebody made it with our tags."""
    variant = world.store.variant("MUG-WHT").id
    lines = [{"variantId": variant, "quantity": 1}]
    draft = world.store.create_draft(lineItems=lines, tags=["TikTok Shop", f"tts-{tiktok_id}"])
    return world.store.complete_draft(draft.id).name


# ---- every night -----------------------------------------------------------------------------------------------------

NIGHT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)  # 03:30 in New York


def test_yesterday_is_compared_once_when_the_night_is_over_where_the_shop_is(world):
    new_york(world)
    audits.ask_daily(NIGHT - timedelta(hours=1))
    assert not Audit.objects.exists()
    for minutes in (0, 10, 600):
        audits.ask_daily(NIGHT + timedelta(minutes=minutes))
    audit = Audit.objects.get()
    zone = ZoneInfo("America/New_York")
    assert (audit.day.isoformat(), audit.since.astimezone(zone).hour, audit.by) == ("2026-11-20", 0, "")
    audits.ask_daily(NIGHT + timedelta(days=1))
    assert Audit.objects.count() == 2


def test_a_day_that_a_person_compared_at_noon_is_compared_again_when_it_is_over(world):
    new_york(world)
    ask_by_hand(world, NIGHT - timedelta(hours=15))
    ended()
    audits.ask_daily(NIGHT)
    assert list(Audit.objects.order_by("asked_at").values_list("by", flat=True)) == ["42", ""]


def test_a_day_that_a_person_compared_when_it_was_over_is_left_alone(world):
    new_york(world)
    ask_by_hand(world, NIGHT - timedelta(hours=2))
    for words, asked in (("", 1), ("Order Information is missing", 2)):
        ended(words)
        audits.ask_daily(NIGHT)
        assert Audit.objects.count() == asked


@pytest.mark.parametrize("words", ["connection_paused", "105005: scope missing"])
def test_a_comparison_that_came_to_nothing_is_tried_again_a_few_times_an_hour_apart(world, words):
    new_york(world)
    for minutes in range(0, 18 * 60, 10):
        audits.ask_daily(NIGHT + timedelta(minutes=minutes))
        ended(words)
    asked = list(Audit.objects.order_by("asked_at").values_list("asked_at", flat=True))
    assert asked == [NIGHT + timedelta(hours=n) for n in range(audits.DAILY_TRIES)]


def test_a_comparison_that_succeeds_at_its_second_try_is_the_last(world):
    new_york(world)
    audits.ask_daily(NIGHT)
    ended("connection_paused")
    for hours in range(1, 12):
        audits.ask_daily(NIGHT + timedelta(hours=hours))
        ended()
    assert Audit.objects.count() == 2


def test_days_that_went_by_in_a_pause_are_compared_after_it(world):
    new_york(world)
    audits.ask_daily(NIGHT)
    ended()
    Connection.objects.update(paused_reason="tiktok_access_lost")
    audits.ask_daily(NIGHT + timedelta(days=1))
    Connection.objects.update(paused_reason="")
    audits.ask_daily(NIGHT + timedelta(days=3))
    audits.ask_daily(NIGHT + timedelta(days=3, minutes=10))
    days = Audit.objects.order_by("day").values_list("day", flat=True)
    assert [day.day for day in days] == [20, 21, 22, 23]


def test_a_comparison_that_a_pause_cut_short_is_made_when_the_pause_is_over(world):
    past_three(world)
    audits.ask_daily(timezone.now())
    Connection.objects.update(paused_reason="connection_paused")
    world.settle()
    assert [audit.words for audit in Audit.objects.all()] == ["connection_paused"]
    Connection.objects.get().resume()
    audits.ask_daily(timezone.now() + audits.TRY_AGAIN)
    Audit.objects.filter(finished_at=None).update(due_at=timezone.now())
    world.settle()
    whole = Audit.objects.latest("asked_at")
    assert whole.finished_at and whole.words == ""


def new_york(world: World) -> None:
    world.shop.timezone = "America/New_York"
    world.shop.save()


def past_three(world: World) -> None:
    """Move the shop to where the night is over now."""
    world.shop.timezone = "Etc/GMT-14" if timezone.now().hour < audits.DAILY_FROM else "UTC"
    world.shop.save()


def ask_by_hand(world: World, at: datetime) -> None:
    """A person has yesterday's orders, as they are called at NIGHT, compared."""
    zone = ZoneInfo("America/New_York")
    audits.begin(world.connection, datetime(2026, 11, 20, tzinfo=zone).date(), zone, "42", at)


def ended(words: str = "") -> None:
    Audit.objects.filter(finished_at=None).update(finished_at=timezone.now(), words=words, due_at=None)
    if words:
        Audit.objects.update(words=words)


def test_a_paused_or_disconnected_shop_is_not_compared(world):
    Connection.objects.update(paused_reason="tiktok_access_lost")
    audits.ask_daily(NIGHT)
    Connection.objects.update(paused_reason="", active=False)
    audits.ask_daily(NIGHT)
    assert not Audit.objects.exists()


def test_the_clock_asks_for_the_comparison(world):
    past_three(world)
    Heartbeat.objects.all().delete()
    clock.tick()
    assert Audit.objects.count() == 1
