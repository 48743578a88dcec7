"""Orders as no contract promises them: each gets a clear answer, and nothing is lost."""

from decimal import Decimal

import pytest

from connector import choices
from connector.models import Order
from connector.states import OrderState as State
from tiktok.sandbox.orders import order_json


def told(world, tiktok_id: str) -> dict:
    order = world.tiktok.world.orders[tiktok_id]
    return order_json(order, style="starred", now=world.tiktok.clock.seconds(), detail=True)


def first_seen(world, **fields) -> Order:
    """An order whose first answer has these fields instead of its own."""
    tiktok_id = world.tiktok.place_order()
    world.answers_once(tiktok_id, **fields)
    world.settle()
    return world.order(tiktok_id)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"line_items": []}, "no_lines"),
        ({"line_items": None}, "no_lines"),
        ({"status": None}, "unknown_status"),
        ({"status": "RISK_REVIEW"}, "unknown_status"),
        ({"order_type": "LOTTERY_OF_THE_FUTURE"}, "unknown_kind"),
        ({"payment": None}, "amounts_mismatch"),
        ({"id": None}, "order_not_found"),
    ],
)
def test_what_cannot_be_booked_stops_with_its_reason_and_goes_on_with_the_next_look(world, fields, reason):
    order = first_seen(world, **fields)
    assert (order.state, order.reason) == (State.RECEIVED, reason)
    assert world.store.drafts == {}
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD


@pytest.mark.parametrize(
    "missing",
    [
        "order_type",
        "recipient_address",
        "paid_time",
        "create_time",
        "update_time",
        "fulfillment_type",
        "shipping_type",
        "delivery_option_id",
        "packages",
        "is_on_hold_order",
        "rts_sla_time",
    ],
)
def test_an_order_without_an_optional_field_is_held_all_the_same(world, missing):
    assert first_seen(world, **{missing: None}).state == State.ON_HOLD


def test_an_answer_without_data_is_no_order_and_the_next_look_finds_it(world):
    tiktok_id = world.tiktok.place_order()
    world.tiktok.faults.add("get_order", "error", code=0, message="Success")
    world.settle()
    assert world.order(tiktok_id).reason == "order_not_found"
    world.after(61)
    assert world.order(tiktok_id).state == State.ON_HOLD


@pytest.mark.parametrize("name", ["id", "sku_id"])
def test_units_that_cannot_be_told_apart_are_a_question(world, name):
    tiktok_id = world.tiktok.place_order(lines=[("TEE-BLK-M", 1), ("MUG-WHT", 1)])
    lines = [{k: v for k, v in line.items() if k != name} for line in told(world, tiktok_id)["line_items"]]
    world.answers_once(tiktok_id, line_items=lines)
    world.settle()
    order = world.order(tiktok_id)
    assert (order.state, order.reason) == (State.RECEIVED, "lines_incomplete")
    assert world.store.drafts == {}


def test_a_line_without_a_sku_waits_for_its_mapping(world):
    tiktok_id = world.tiktok.place_order()
    lines = [line | {"seller_sku": ""} for line in told(world, tiktok_id)["line_items"]]
    world.answers_once(tiktok_id, line_items=lines)
    world.settle()
    assert world.order(tiktok_id).reason == "sku_unmapped"


def test_a_sample_that_costs_nothing_goes_through(world):
    order = world.finalized(sample=True)
    assert (order.state, order.expected_total) == (State.FINALIZED, Decimal(0))


def test_the_order_says_its_currency_in_its_lines_alone(world):
    tiktok_id = world.tiktok.place_order()
    payment = {k: v for k, v in told(world, tiktok_id)["payment"].items() if k != "currency"}
    world.answers_once(tiktok_id, payment=payment)
    world.settle()
    order = world.order(tiktok_id)
    assert (order.state, order.currency) == (State.ON_HOLD, "USD")


def test_a_currency_that_the_merchant_enables_is_noticed_at_the_next_look(world):
    order = world.placed(currency="GBP")
    assert order.reason == "currency_not_enabled"
    world.shopify.shop(order.shop.domain).record.currencies.append("GBP")
    choices.look_again(order, by="7")
    world.settle()
    assert world.order(order.tiktok_id).state == State.ON_HOLD


def test_names_and_titles_of_every_script_reach_shopify_unchanged(world):
    order = world.finalized(buyer={"first_name": "Zoë", "last_name": "北京"})
    address = world.store.orders[order.order_gid].shipping_address
    assert (address["firstName"], address["lastName"]) == ("Zoë", "北京")
