"""Every failure has words: what happened, why, what to do, and a button."""

import ast
from pathlib import Path

import pytest

import connector
from connector.reasons import ACTIONS, REASONS, ROWS, Reason, reason

WANTED = [
    "sku_unmapped",
    "sku_conflict",
    "bundle_unmapped",
    "no_lines",
    "amounts_mismatch",
    "total_mismatch",
    "currency_not_enabled",
    "tiktok_ships",
    "address_masked",
    "address_missing",
    "cancel_requested",
    "cancel_requested_shipped",
    "draft_edited",
    "draft_taxed",
    "draft_currency",
    "draft_deleted",
    "draft_completed_by_hand",
    "merchant_cancelled",
    "merchant_deleted",
    "merchant_refunded",
    "cancelled_after_fulfilled",
    "cancellation_failed",
    "cancelled_out_of_reach",
    "lines_changed_after_finalize",
    "address_changed_after_shipped",
    "shipped_elsewhere",
    "shipped_outside",
    "kind_skipped",
    "older_than_connection",
    "other_connector",
    "unknown_status",
    "unknown_kind",
    "order_not_found",
    "shopify_rejected",
    "tiktok_rejected",
    "unavailable_too_long",
    "unexpected",
    "connection_paused",
    "carrier_unknown",
    "carrier_not_supported",
    "number_missing",
    "number_invalid",
    "number_mismatch",
    "number_in_use",
    "several_numbers",
    "too_few_units",
    "foreign_line",
    "tracking_refused",
    "tracking_warning",
    "edit_limit",
    "fulfillment_cancelled",
    "tracking_changed_too_late",
    "destination_unsupported",
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_every_reason_says_what_happened_why_and_what_to_do(row: Reason):
    for words in (row.title, row.why, row.do):
        assert len(str(words)) >= 10
        assert str(words) == str(words).strip()
    assert row.action in ACTIONS
    assert str(row.why).endswith(".")
    assert str(row.do).endswith(".")


def test_every_reason_in_the_table_is_given_somewhere():
    floors = Path(connector.__file__).parent.rglob("*.py")
    elsewhere = "\n".join(file.read_text(encoding="utf-8") for file in floors if file.name != "reasons.py")
    built = {f"merchant_{ended}" for ended in ("cancelled", "deleted", "refunded")}
    assert [row.code for row in ROWS if f'"{row.code}"' not in elsewhere and row.code not in built] == []


def test_no_code_has_two_meanings():
    assert len(REASONS) == len(ROWS)


def test_every_situation_we_decided_on_has_its_reason():
    assert set(WANTED) <= set(REASONS)


def test_every_reason_given_anywhere_in_the_connector_is_in_the_table():
    sources = Path(connector.__file__).parent.glob("*.py")
    given = {code for source in sources for code in codes_of(ast.parse(source.read_text(encoding="utf-8")))}
    assert given
    assert given - set(REASONS) == set()


def codes_of(tree: ast.AST) -> set[str]:
    """The constants that calls hand on as a reason: ask("…"), park("…"), Verdict(Fate.ASK, "…"), reason="…"."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [
        keyword.value for call in calls for keyword in call.keywords if keyword.arg in ("reason", "problem")
    ]
    first = [
        call.args[0] for call in calls if call.args and _name(call) in ("ask", "park", "pause", "Problem")
    ]
    second = [
        call.args[1] for call in calls if call.args[1:] and ast.unparse(call.args[0]).startswith("Fate.")
    ]
    return {node.value for node in named + first + second if isinstance(node, ast.Constant) and node.value}


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def test_figures_are_told_where_the_row_holds_them_and_left_out_where_not():
    sums = {"what": "lines", "stated": "20.00", "added_up": "19.99", "currency": "USD"}
    told = reason("amounts_mismatch").told(sums)
    assert told == "TikTok states 20.00 USD, the lines add up to 19.99 USD."
    assert reason("amounts_mismatch").told({"what": "lines"}) == ""
    assert reason("no_lines").told({"words": "x"}) == ""


def test_figures_name_things_by_what_a_person_calls_them():
    lines = [{"sku": "SOCK-L", "title": "Merino Crew Socks"}, {"sku": "ORG", "title": ""}]
    assert reason("sku_unmapped").told({"lines": lines}) == "Not linked: Merino Crew Socks, ORG."
    parcels = [{"carrier": "UPS", "number": "1Z410E7W0392751591"}]
    assert reason("shipped_elsewhere").told({"parcels": parcels}) == "TikTok has: UPS 1Z410E7W0392751591."


def test_a_change_is_told_with_the_exact_difference():
    changes = [
        {"what": "cancelled", "title": "Merino Crew Socks", "before": "2", "after": "1"},
        {"what": "shipping_fee", "title": "", "before": "3.99", "after": "2.99"},
    ]
    told = reason("lines_changed_after_finalize").told({"changes": changes})
    assert told == "Changed: Merino Crew Socks cancelled: 2 → 1, shipping fee: 3.99 → 2.99."


def test_another_connector_is_told_by_its_tag_and_an_order_of_its():
    found = {"tag": "skuiq", "order": "#1009"}
    assert reason("other_connector").told(found) == "#1009 carries the tag skuiq."


def test_a_code_from_nowhere_is_shown_as_unexpected():
    assert reason("no_such_code").code == "unexpected"
