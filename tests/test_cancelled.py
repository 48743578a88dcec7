"""Who cancelled an order and why: read by an allow-list, kept, and shown on the order's page and in its log."""

import pytest

from connector import cancelled
from connector.states import OrderState
from connector.timeline import timeline
from tests.visits import Visitor, text
from tiktok import cancelling


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("No longer needed", "no_longer_needed"),
        ("ecom_order_to_ship_canceled_reason_no_longer_needed", "no_longer_needed"),
        ("seller_cancel_reason_out_of_stock_uk", "out_of_stock"),
        ("Out of stock", "out_of_stock"),
        ("seller_cancel_paid_reason_address_not_deliver", "address_not_deliver"),
        ("Please call Avery Thornquil, 512 555 0147", "other"),
        ("", ""),
    ],
)
def test_a_reason_is_kept_only_where_it_is_one_of_tiktoks_own(told, kept):
    assert cancelling.why(told) == kept


def test_nobody_but_tiktoks_own_roles_is_kept():
    assert [cancelling.role(who) for who in ("BUYER", "SYSTEM", "Avery", "")] == ["BUYER", "SYSTEM", "", ""]


def test_every_role_and_reason_has_words():
    assert {*cancelling.ROLES, ""} == cancelled.BY.keys()
    assert {*cancelling.REASONS, cancelling.OTHER} == cancelled.WHY.keys()
    assert cancelled.told("", "") == ""
    assert cancelled.told("", "out_of_stock") == "Cancelled: out of stock"


@pytest.mark.parametrize("when", ["in the hold", "after finalizing"])
def test_the_page_and_the_log_tell_who_cancelled_and_why(world, when):
    order = world.placed() if when == "in the hold" else world.finalized()
    world.tiktok.cancel(order.tiktok_id)
    world.after(2)
    order = world.order(order.tiktok_id)
    words = "Cancelled by the buyer: no longer needed"
    assert (order.state, order.cancelled_by, order.cancel_reason) == (
        OrderState.CANCELLED,
        "BUYER",
        "no_longer_needed",
    )
    assert timeline(order.log.all())[0].words == words
    page = text(Visitor(world.shop.domain).open(f"/orders/{order.pk}"))
    assert page.count(words) == 2
    assert "cancelled by: BUYER" not in page


def test_free_text_of_a_cancellation_is_kept_nowhere(world):
    order = world.placed()
    world.tiktok.cancel(order.tiktok_id, reason="Ring Avery Thornquil before you ship")
    world.settle()
    order = world.order(order.tiktok_id)
    assert (order.state, order.cancel_reason) == (OrderState.CANCELLED, "other")
    kept = [str(vars(row)) for row in (order, *order.log.all(), *order.lines.all())]
    assert not any("Thornquil" in row for row in kept)
