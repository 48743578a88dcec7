"""Reading orders: the published examples, and answers that leave things out."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok import client
from tiktok.orders import AMOUNTS, Address, LineItem, Order, Payment

EXAMPLES = Path(__file__).parent / "contract" / "tiktok"


def example(name):
    data = client.decipher(200, {}, (EXAMPLES / f"{name}.json").read_bytes())
    return data["orders"][0]


def test_an_order_awaiting_shipment_is_read():
    order = Order.from_api(example("awaiting_shipment_multi"))
    assert order.id == "577120098711193302"
    assert order.status == "AWAITING_SHIPMENT"
    assert order.paid_time == datetime(2026, 11, 17, 13, 20, 42, tzinfo=UTC)
    assert order.seller_ships and not order.masked and not order.cancelled
    assert [line.seller_sku for line in order.line_items] == [
        "SOCK-CHR-L",
        "SOCK-CHR-L",
        "ORG-BAM-S",
        "GIFT-STICK",
    ]
    assert [line.is_gift for line in order.line_items] == [False, False, False, True]
    assert order.packages == ()
    address = order.address
    assert (address.city, address.state_code, address.region_code) == ("Austin", "TX", "US")
    assert (address.first_name, address.phone) == ("Jordan", "(+1)5125550147")


def test_an_order_on_hold_may_be_starred():
    order = Order.from_api(example("on_hold_single"))
    assert (order.status, order.is_on_hold_order, order.masked) == ("ON_HOLD", True, True)


def test_an_order_cancelled_in_the_hold_is_read():
    order = Order.from_api(example("cancelled_during_hold"))
    assert order.cancelled and order.line_items[0].cancelled
    assert order.cancellation_initiator == "BUYER"
    assert order.cancel_time == order.update_time


def on_its_way(*lines, **fields):
    """An order shipped with a number at its own level, and at the lines that are given some."""
    own = {"tracking_number": "1Z", "shipping_provider": "UPS", "packages": [{"id": "7"}]}
    rows = [{"id": str(at), "display_status": "AWAITING_COLLECTION"} | line for at, line in enumerate(lines)]
    return Order.from_api({"status": "AWAITING_COLLECTION", "line_items": rows} | own | fields)


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        (on_its_way({}, {}), ["1Z", "1Z"]),
        (on_its_way({"tracking_number": "1Z"}, {}), ["1Z", ""]),
        (on_its_way({}, {}, split_or_combine_tag="SPLIT"), ["", ""]),
        (on_its_way({}, {}, split_or_combine_tag="COMBINED"), ["1Z", "1Z"]),
        (on_its_way({}, {}, packages=[{"id": "7"}, {"id": "8"}]), ["", ""]),
        (on_its_way({"package_id": "7"}, {"package_id": "8"}), ["", ""]),
        (on_its_way({}, {}, status="PARTIALLY_SHIPPING"), ["", ""]),
        (on_its_way({}, {}, status="AWAITING_SHIPMENT"), ["", ""]),
        (on_its_way({}, {"display_status": "CANCELLED"}), ["1Z", ""]),
    ],
)
def test_the_orders_own_number_is_a_units_only_where_all_went_together(order, numbers):
    held = [order.shipment(line) for line in order.line_items]
    assert [shipment.number for shipment in held] == numbers
    assert [shipment.provider_name for shipment in held] == ["UPS" if n == "1Z" else "" for n in numbers]


@pytest.mark.parametrize("name", ["awaiting_shipment_multi", "on_hold_single", "cancelled_during_hold"])
def test_the_sums_of_the_examples_hold(name):
    order = Order.from_api(example(name))
    pay = order.payment
    assert sum(line.sale_price for line in order.line_items) == pay.sub_total
    for line in order.line_items:
        assert line.sale_price == line.original_price - line.seller_discount - line.platform_discount
    shipping = pay.shipping_fee_seller_discount + pay.shipping_fee_platform_discount
    assert pay.shipping_fee == pay.original_shipping_fee - shipping
    assert pay.total_amount == pay.sub_total + pay.shipping_fee + pay.tax + pay.retail_delivery_fee


def test_an_empty_order_is_an_order():
    order = Order.from_api({})
    assert (order.id, order.paid_time, order.address, order.line_items) == ("", None, None, ())
    assert order.payment == Payment()
    assert order.seller_ships and not order.masked


def test_a_missing_amount_is_told_from_zero():
    payment = Payment.from_api({"tax": "0", "sub_total": None, "shipping_fee": "free", "total_amount": "NaN"})
    assert payment.has("tax") and payment.tax == 0
    for missing in ("sub_total", "shipping_fee", "total_amount", "handling_fee"):
        assert not payment.has(missing) and getattr(payment, missing) == 0


@given(st.dictionaries(st.sampled_from(AMOUNTS), st.decimals(-(10**9), 10**9, places=2), max_size=8))
def test_amounts_are_read_to_the_cent(amounts):
    payment = Payment.from_api({name: str(amount) for name, amount in amounts.items()})
    assert {name: getattr(payment, name) for name in amounts} == amounts
    assert payment.present == frozenset(amounts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted(Order.__dataclass_fields__) + ["recipient_address"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_values_of_any_type_never_break_the_reading(raw):
    Order.from_api(raw)


@given(st.dictionaries(st.sampled_from(sorted(LineItem.__dataclass_fields__)), JSON))
def test_line_values_of_any_type_never_break_the_reading(raw):
    Order.from_api({"line_items": [raw, None, "text"]})


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("CANCEL", "CANCELLED"),
        ("TO_SHIP", "AWAITING_SHIPMENT"),
        ("ON_HOLD", "ON_HOLD"),
        ("NEW_WORD", "NEW_WORD"),
    ],
)
def test_spellings_of_a_status_are_made_one(sent, read):
    order = Order.from_api({"status": sent, "line_items": [{"display_status": sent}]})
    assert (order.status, order.line_items[0].status) == (read, read)


def address(**raw):
    return Address.from_api({"region_code": "US"} | raw)


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ({"phone_number": "(+1)***"}, True),
        ({"postal_code": "7****"}, True),
        ({"name": "J***", "address_line1": "2*** Example"}, True),
        ({"name": "J***", "address_line1": "", "address_detail": "****"}, True),
        ({"name": "*Star* Shop", "address_line1": "2 Example St"}, False),
        ({"name": "Jo", "address_line1": "2 Example St *ring twice*"}, False),
        ({"name": "Jo", "address_line1": "2 Example St", "address_line2": "Apt *5"}, False),
        ({}, False),
    ],
)
def test_a_star_counts_where_tiktok_puts_it(raw, masked):
    assert address(**raw).masked is masked


def level(name, level, value, code=None):
    return {"address_level_name": name, "address_level": level, "address_name": value, "iso_code": code}


def test_the_american_city_is_level_three_else_two():
    state = level("State", "L1", "Texas", "US-TX")
    county, city = level("County", "L2", "Travis"), level("City", "L3", "Austin")
    assert address(district_info=[state, county, city]).city == "Austin"
    assert address(district_info=[state, county]).city == "Travis"
    assert address(district_info=[state]).state_code == "TX"


def test_the_british_city_goes_by_its_name_else_by_the_post_town():
    named = [level("Country", "L0", "United Kingdom"), level("City", "L2", "Leeds")]
    assert address(region_code="GB", district_info=named, post_town="LEEDS").city == "Leeds"
    assert address(region_code="GB", district_info=[], post_town="YORK").city == "YORK"


def test_nothing_of_an_address_shows():
    order = Order.from_api(example("awaiting_shipment_multi"))
    shown = repr(order) + str(order.address)
    for value in order.address.values:
        assert value not in shown
    assert "Jordan" in order.address.values and "US" not in order.address.values


@pytest.mark.parametrize(
    ("fulfillment", "shipping", "ours"),
    [
        ("FULFILLMENT_BY_SELLER", "SELLER", True),
        ("FULFILLMENT_BY_SELLER", "TIKTOK", False),
        ("FULFILLMENT_BY_TIKTOK", "SELLER", False),
        ("FULFILLMENT_BY_SELLER", "TIKTOK_DIGITAL", False),
        ("", "", True),
    ],
)
def test_ours_to_ship_needs_both_words(fulfillment, shipping, ours):
    order = Order.from_api({"fulfillment_type": fulfillment, "shipping_type": shipping})
    assert order.seller_ships is ours


def test_bundles_are_known_by_their_parts():
    line = LineItem.from_api(
        {
            "combined_listing_skus": [{"sku_id": "9", "sku_count": 2, "seller_sku": "A"}],
            "sub_item_info": [{"id": "1", "sku_id": "9", "seller_sku": "A"}],
        }
    )
    assert line.is_bundle
    assert (line.combined_skus[0].count, line.sub_items[0].id) == (2, "1")
    assert not LineItem.from_api({}).is_bundle


def test_prices_that_come_as_numbers_are_read():
    assert LineItem.from_api({"sale_price": 19.99}).sale_price == Decimal("19.99")
