"""An order's money side by side: both columns add up, and every difference has its why."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from connector.amounts import amounts
from connector.models import Order
from connector.policy import Policy

D = Decimal


def order(total, *, region="US", unexplained="0", policy=None, lines=None, **stated):
    """One unit at 20.00, of which TikTok paid 2.00."""
    line = {"sale_price": "18.00", "platform_discount": "2.00", "cancelled": False}
    known = {"sub_total": "18.00", "shipping_fee": "3.00", "shipping_fee_platform_discount": "1.00"}
    money = {"amounts": known | stated, "lines": lines or [line], "unexplained": unexplained}
    planted = Order(money=money, currency="USD", expected_total=None if total is None else D(total))
    connection = SimpleNamespace(policy=policy or Policy(), tiktok_shop=SimpleNamespace(region=region))
    planted._state.fields_cache["connection"] = connection
    return planted


def columns(found):
    return [(str(row.label), row.tiktok, row.shopify) for row in found.rows]


US = {"tax": "1.80", "retail_delivery_fee": "0.28", "total_amount": "23.08"}


@pytest.mark.parametrize(
    ("total", "products", "shipping", "tax"),
    [
        ("24.00", D("20.00"), D("4.00"), None),
        ("21.00", D("18.00"), D("3.00"), None),
        ("25.80", D("20.00"), D("4.00"), D("1.80")),
        ("22.80", D("18.00"), D("3.00"), D("1.80")),
    ],
)
def test_each_way_of_booking_is_recognised_by_its_total_whatever_the_settings_say_now(
    total, products, shipping, tax
):
    found = amounts(order(total, **US))
    assert columns(found) == [
        ("Products", D("18.00"), products),
        ("Shipping", D("3.00"), shipping),
        ("Tax", D("1.80"), tax),
        ("Retail delivery fee", D("0.28"), None),
    ]


@pytest.mark.parametrize("total", ["24.00", "21.00", "25.80", "22.80"])
def test_both_columns_add_up_to_their_totals_and_every_difference_is_explained(total):
    found = amounts(order(total, unexplained="0.50", **(US | {"total_amount": "23.58"})))
    assert sum(row.tiktok or 0 for row in found.rows) == found.total.tiktok == D("23.58")
    assert sum(row.shopify or 0 for row in found.rows) == found.total.shopify == D(total)
    assert all(row.why for row in found.rows if row.tiktok != row.shopify)


def test_tax_that_the_prices_contain_is_told_beside_them_and_not_added():
    found = amounts(order("24.00", region="GB", tax="3.50", total_amount="21.00"))
    assert (found.contained_tax, found.vat) == (D("3.50"), True)
    assert columns(found) == [("Products", D("18.00"), D("20.00")), ("Shipping", D("3.00"), D("4.00"))]


def test_how_tiktok_came_to_its_price_is_shown():
    found = amounts(
        order("24.00", original_total_product_price="25.00", seller_discount="5.00", platform_discount="2.00")
    )
    assert [(str(row.label), row.tiktok) for row in found.parts] == [
        ("Before discounts", D("25.00")),
        ("Your discount", D("-5.00")),
        ("TikTok's discount", D("-2.00")),
    ]


def test_cancelled_units_are_not_in_shopify():
    lines = [
        {"sale_price": "18.00", "platform_discount": "0", "cancelled": cancelled}
        for cancelled in (True, False)
    ]
    found = amounts(order("22.00", lines=lines, sub_total="36.00"))
    assert columns(found)[0] == ("Products", D("36.00"), D("18.00"))
    assert found.rows[0].why == "Cancelled products are not in Shopify."


def test_before_tiktok_has_told_any_figure_there_is_nothing_to_show():
    assert amounts(Order(money={})) is None
