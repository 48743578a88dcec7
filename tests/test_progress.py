"""What happened to an order and what comes next, in words: a row in, words out."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings

from connector.deadlines import deadlines, ship_by, urgency
from connector.models import DISCONNECTED, Order, OrderLog, Parcel
from connector.progress import HAPPENED, NEXT, progress
from connector.states import OrderState, ParcelState
from connector.timeline import CALLS, timeline
from connector.waits import hold_ends

PROJECT = Path(settings.BASE_DIR)
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def order(state, *, paused=False, **facts):
    planted = Order(state=state, **facts)
    planted._state.fields_cache["connection"] = SimpleNamespace(paused=paused)
    return planted


def after(state, parcels=(), **facts):
    found = progress(order(state, **facts), parcels, NOW)
    return str(found.after), found.at


def test_every_state_has_words_for_what_happened_and_those_without_a_question_of_their_own_for_what_comes():
    assert set(HAPPENED) == set(OrderState)
    assert set(NEXT) == set(OrderState) - {OrderState.RECEIVED, OrderState.ON_HOLD, OrderState.FINALIZED}


@pytest.mark.parametrize(
    ("facts", "words", "at"),
    [
        ({"release_at": NOW + HOUR}, "TikTok holds it while the buyer can still cancel", NOW + HOUR),
        ({"paid_at": NOW - HOUR / 2}, "TikTok holds it while the buyer can still cancel", NOW + HOUR / 2),
        ({"paid_at": NOW - 2 * HOUR, "due_at": NOW + HOUR}, "The hold should be over", NOW + HOUR),
        ({"prepared_at": NOW}, "TikTok has released it", None),
    ],
)
def test_a_held_order_says_until_when_and_that_only_tiktok_ends_it(facts, words, at):
    assert after(OrderState.ON_HOLD, **facts)[0].startswith(words)
    assert after(OrderState.ON_HOLD, **facts)[1] == at


@pytest.mark.parametrize(
    ("facts", "hold", "at"),
    [
        ({"paid_at": NOW}, timedelta(seconds=15), NOW + timedelta(seconds=15)),
        ({"placed_at": NOW}, HOUR, NOW + HOUR),
        ({"paid_at": NOW - HOUR / 2, "release_at": NOW - HOUR}, HOUR, NOW + HOUR / 2),
        ({"paid_at": NOW, "release_at": NOW + 9 * HOUR}, HOUR, NOW + 9 * HOUR),
    ],
)
def test_the_time_that_is_told_for_the_end_of_a_hold_is_the_one_at_which_we_look(settings, facts, hold, at):
    settings.HOLD_EXPECTED = hold
    assert after(OrderState.ON_HOLD, **facts)[1] == at
    assert hold_ends(facts.get("paid_at") or facts.get("placed_at"), facts.get("release_at")) == at


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "It becomes a draft order within seconds."),
        ({"tiktok_status": "UNPAID"}, "The buyer has not paid yet."),
        ({"create_sent_at": NOW}, "Shopify was asked for the draft and has not answered."),
        ({"paused": True}, "Nothing while the connection is paused."),
        ({"last_error": DISCONNECTED}, "Nothing: its TikTok shop is disconnected."),
        ({"failing_since": NOW}, "The last try got no answer."),
        ({"reason": "sku_unmapped"}, "Link the product to a variant."),
    ],
)
def test_an_order_that_is_not_in_shopify_yet_says_what_it_waits_for(facts, words):
    assert after(OrderState.RECEIVED, **facts)[0].startswith(words)


@pytest.mark.parametrize(
    ("parcels", "words", "at"),
    [
        ([], "Fulfil it in Shopify with a tracking number", NOW + HOUR),
        ([Parcel(state=ParcelState.ACCEPTED)], "Fulfil the rest in Shopify", NOW + HOUR),
        ([Parcel(due_at=NOW)], "The tracking number goes to TikTok.", NOW),
        ([Parcel(reason="number_invalid")], "A tracking number could not go to TikTok", None),
    ],
)
def test_an_order_to_ship_says_by_when_or_what_its_tracking_needs(parcels, words, at):
    found = after(OrderState.FINALIZED, parcels, ship_by_at=NOW + HOUR)
    assert found[0].startswith(words) and found[1] == at


def test_an_order_kept_out_says_why_as_what_happened():
    found = progress(order(OrderState.SKIPPED, reason="tiktok_ships"), [], NOW)
    assert "shipped by TikTok's own service" in str(found.happened)


# ---- deadlines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "near"),
    [(-1, "overdue"), (0, "overdue"), (1, "soon"), (12, "soon"), (13, "today"), (24, "today"), (25, "")],
)
def test_a_deadline_is_the_louder_the_nearer_it_is(hours, near):
    assert urgency(NOW + hours * HOUR, NOW) == near


def test_a_deadline_stands_only_while_it_can_be_missed():
    facts = {"ship_by_at": NOW, "hand_over_by_at": NOW, "delivery_due_at": NOW}
    stands = {
        state: [one.stands for one in deadlines(order(state, **facts))]
        for state in (OrderState.FINALIZED, OrderState.SHIPPED, OrderState.CANCELLED)
    }
    assert stands == {
        OrderState.FINALIZED: [True, True, True],
        OrderState.SHIPPED: [False, True, True],
        OrderState.CANCELLED: [False, False, False],
    }


@pytest.mark.parametrize(
    ("status", "stand"),
    [
        ("AWAITING_COLLECTION", ["hand_over_by_at", "collection_due_at", "delivery_due_at"]),
        ("IN_TRANSIT", ["delivery_due_at"]),
    ],
)
def test_what_the_carrier_has_scanned_can_miss_no_scan(status, stand):
    facts = {"hand_over_by_at": NOW, "collection_due_at": NOW, "delivery_due_at": NOW}
    found = deadlines(order(OrderState.SHIPPED, tiktok_status=status, **facts))
    assert [one.name for one in found if one.stands] == stand


def test_where_tiktok_names_no_ship_by_time_its_cancelling_counts():
    assert ship_by(order(OrderState.FINALIZED, ship_due_at=NOW)) == NOW
    assert ship_by(order(OrderState.SHIPPED, ship_due_at=NOW)) is None
    assert urgency(None, NOW) == ""


# ---- the log in words ----------------------------------------------------------------------------


def told(**facts):
    entry = timeline([OrderLog(at=NOW, **facts)])[0]
    return str(entry.title), str(entry.words), entry.facts


@pytest.mark.parametrize(
    ("facts", "title", "words"),
    [
        ({"what": "moved", "old": "received", "new": "on_hold"}, "Received → On hold", ""),
        (
            {"what": "moved", "old": "received", "new": "skipped", "reason": "tiktok_ships"},
            "Received → Not ours",
            "TikTok ships this order",
        ),
        (
            {"what": "asked", "reason": "currency_not_enabled", "detail": {"currency": "EUR"}},
            "The order's currency is not enabled",
            "The order is in EUR.",
        ),
        (
            {"what": "wrote", "call": "orderCancel"},
            "Shopify was told to cancel and restock the order",
            "",
        ),
        ({"what": "wrote", "call": "somethingNew"}, "somethingNew", ""),
        (
            {"what": "wrote", "call": "external_orders", "detail": {"refused": ["27001"]}},
            "TikTok did not take the number of the Shopify order",
            "",
        ),
        (
            {"what": "wrote", "call": "orderCreateManualPayment", "detail": {"refused": "No such method"}},
            "Shopify did not take the payment under its own name",
            "",
        ),
        ({"what": "redacted", "new": "shipped"}, "A buyer's data was asked to be erased: there is none", ""),
        (
            {"what": "chose", "call": "dismiss merchant_deleted", "by": "42"},
            "Marked as seen",
            "Deleted in Shopify, open in TikTok",
        ),
    ],
)
def test_every_row_of_the_log_is_told_in_words(facts, title, words):
    assert told(**facts)[:2] == (title, words)


def test_every_call_that_is_written_down_has_words():
    named = {name for source in (PROJECT / "connector").glob("*.py") for name in written_down(source)}
    assert {"draftOrderCreate", "tagsRemove", "ship", "paymentTermsCreate"} <= named
    assert sorted(named - set(CALLS)) == []


def written_down(source: Path) -> set[str]:
    """The names that `wrote("…")` and `noted("wrote", call="…")` are given in a file."""
    named = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = node.args[:1] if node.func.attr == "wrote" else []
            given += [
                word.value for word in node.keywords if node.func.attr == "noted" and word.arg == "call"
            ]
            named |= {one.value for part in given for one in ast.walk(part) if is_text(one)}
    return named


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_figures_and_ids_of_an_outside_write_are_told_with_it():
    detail = {
        "draft": "gid://shopify/DraftOrder/77",
        "total": "24.00",
        "changed": ["address", "tags"],
        "why": "",
    }
    facts = told(what="wrote", call="draftOrderUpdate", detail=detail)[2]
    assert facts == (("draft", "77"), ("total", "24.00"), ("changed", "address, tags"))


def test_the_newest_row_of_the_log_comes_first():
    rows = [OrderLog(at=NOW + i * HOUR, what="wrote", call=str(i)) for i in range(3)]
    assert [str(entry.title) for entry in timeline(rows)] == ["2", "1", "0"]
