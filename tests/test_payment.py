"""A payment method of the merchant's own name on the Shopify order, and what happens where Shopify refuses it."""

import pytest

from connector.states import OrderState
from shopify_app.models import Shop


@pytest.fixture
def named(world):
    """A world whose merchant named a method that Shopify knows, and gave the permission."""
    world.store.record.manual_payment_methods = ["TikTok Shop"]
    world.store.grant_scopes([*world.shop.scopes.split(","), "write_payment_terms"])
    world.settle()
    world.set_policy(payment_method="TikTok Shop")
    return world


def shopify_order(world, order):
    return world.store.orders[order.order_gid]


def test_the_permission_arrives_by_itself(named):
    assert "write_payment_terms" in Shop.objects.get(pk=named.shop.pk).scopes


def test_an_order_is_paid_under_the_named_method(named):
    order = named.finalized()
    placed = shopify_order(named, order)
    assert order.state == OrderState.FINALIZED
    assert (placed.financial_status, placed.payment_gateway_names) == ("PAID", ["TikTok Shop"])
    assert order.payment_method == "TikTok Shop" and order.paid_in_shopify_at and order.referenced_at
    assert order.log.filter(call="orderCreateManualPayment", detail__method="TikTok Shop").count() == 1


def test_a_name_that_shopify_does_not_know_falls_back_to_marked_as_paid(named):
    named.store.record.manual_payment_methods = []
    order = named.finalized()
    placed = shopify_order(named, order)
    assert (placed.financial_status, placed.payment_gateway_names) == ("PAID", ["manual"])
    assert order.log.filter(call="orderMarkAsPaid").count() == 1
    assert order.referenced_at and order.reason == ""


def test_without_the_permission_the_order_is_completed_as_paid(world):
    world.set_policy(payment_method="TikTok Shop")
    order = world.finalized()
    assert shopify_order(world, order).payment_gateway_names == ["manual"]
    assert (order.payment_method, order.paid_in_shopify_at) == ("", None)


def test_a_permission_taken_back_meanwhile_leaves_a_paid_order(named):
    order = named.placed()
    named.store.record.scopes = [s for s in named.store.record.scopes if s != "write_payment_terms"]
    named.tiktok.release(order.tiktok_id)
    named.settle()
    order = named.order(order.tiktok_id)
    assert order.log.filter(call="paymentTermsCreate").exists()
    assert shopify_order(named, order).financial_status == "PAID"
    assert order.paid_in_shopify_at and order.referenced_at
    named.connection.refresh_from_db()
    assert named.connection.paused_reason == ""
    named.shopify.violations.clear()


def test_an_order_that_costs_nothing_has_nothing_to_be_paid(named):
    order = named.finalized(sample=True)
    assert order.expected_total == 0
    assert (order.payment_method, order.reason) == ("", "")
    assert order.referenced_at and shopify_order(named, order).financial_status == "PAID"


def test_a_payment_that_shopify_refuses_asks_and_a_cancellation_is_seen_all_the_same(named):
    named.store.record.manual_payment_methods = []
    named.shopify.faults.add("orderMarkAsPaid", "400", times=99)
    order = named.finalized()
    assert (order.reason, order.paid_in_shopify_at) == ("shopify_rejected", None)
    named.tiktok.cancel(order.tiktok_id, by="SELLER")
    named.settle()
    order = named.order(order.tiktok_id)
    assert order.state == OrderState.CANCELLED
    assert shopify_order(named, order).cancelled_at


@pytest.mark.parametrize("operation", ["paymentTermsCreate", "orderCreateManualPayment"])
def test_a_store_that_freezes_in_between_pauses_and_is_paid_under_the_name_afterwards(named, operation):
    order = named.placed()
    named.shopify.faults.add(operation, "402")
    named.release_hold()
    named.connection.refresh_from_db()
    assert named.connection.paused_reason == "shopify_access_lost"
    assert not order.log.filter(detail__has_key="refused").exists()
    named.after(25 * 3600)
    order = named.order(order.tiktok_id)
    placed = shopify_order(named, order)
    assert (placed.financial_status, placed.payment_gateway_names) == ("PAID", ["TikTok Shop"])


@pytest.mark.parametrize(
    "operation", ["paymentTermsCreate", "draftOrderComplete", "orderCreateManualPayment"]
)
def test_a_lost_answer_never_leaves_an_unpaid_order(named, operation):
    order = named.placed()
    named.shopify.faults.add(operation, "lost_reply")
    named.release_hold()
    named.after(60)
    order = named.order(order.tiktok_id)
    placed = shopify_order(named, order)
    assert (placed.financial_status, placed.payment_gateway_names) == ("PAID", ["TikTok Shop"])
    assert len(named.shopify_effects("order_paid")) == 1
    assert order.paid_in_shopify_at and order.referenced_at
