"""The name an order's payment has in Shopify: a manual payment method of the merchant's own, off by default.

The draft is completed unpaid and then paid under that name (Shopify contract, A+). Where Shopify refuses any of it,
the order is marked as paid like every other: nobody may find an unpaid order for goods that are paid.
"""

from django.utils import timezone

import shopify_app.errors
from connector.models import Order
from connector.platforms import shopify_for

SCOPE = "write_payment_terms"
UNPAID = "PENDING"


def named(order: Order) -> str:
    """The method that the merchant named and Shopify lets us use, or nothing."""
    return order.connection.policy.payment_method if SCOPE in order.shop.scopes.split(",") else ""


def defer(order: Order) -> None:
    """Before the draft is completed: let it become an order that is still to be paid.

    That it is to be paid is stored first. Refused, the draft is completed as paid, and `settle` finds it so. Where
    nothing is to be paid, Shopify marks nothing as paid.
    """
    method = named(order)
    if not method or not order.expected_total:
        return
    order.keep(payment_method=method)
    try:
        shopify_for(order.shop, live=order.live).defer_payment(order.draft_gid, timezone.now())
    except shopify_app.errors.Rejected as error:
        # terms that a lost answer set already, or a permission taken back
        order.wrote("paymentTermsCreate", refused=words_of(error))


def owed(order: Order) -> bool:
    return bool(order.payment_method) and order.paid_in_shopify_at is None


def settle(order: Order) -> None:
    """Record the payment of an order that was completed unpaid. Looks first: a lost answer may have done it."""
    shopify = shopify_for(order.shop, live=order.live)
    state = shopify.get_order(order.order_gid)
    unpaid = state is not None and not state.cancelled and state.financial_status == UNPAID and state.total
    if unpaid:
        pay(order)
    order.succeed(timezone.now(), paid_in_shopify_at=timezone.now())


def pay(order: Order) -> None:
    shopify = shopify_for(order.shop, live=order.live)
    try:
        shopify.pay_manually(order.order_gid, order.payment_method, order.paid_at or timezone.now())
    except shopify_app.errors.Rejected as error:
        order.wrote("orderCreateManualPayment", refused=words_of(error))
        shopify.mark_paid(order.order_gid)
        order.wrote("orderMarkAsPaid", order=order.order_gid)
    else:
        order.wrote("orderCreateManualPayment", order=order.order_gid, method=order.payment_method)


def words_of(error: shopify_app.errors.Rejected) -> str:
    """What Shopify refuses of the payment alone. An access that is lost for everything is no refusal: it goes on up."""
    if isinstance(error, shopify_app.errors.AccessLost) and error.code != shopify_app.errors.SCOPE_MISSING:
        raise error
    return error.public
