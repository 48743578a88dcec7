"""Who cancelled an order and why, in a merchant's words. Pure."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tiktok import cancelling

BY: dict[str, Promise] = {
    cancelling.BUYER: _("Cancelled by the buyer"),
    cancelling.SELLER: _("Cancelled by you in TikTok Shop"),
    cancelling.SYSTEM: _("Cancelled by TikTok"),
    cancelling.OPERATOR: _("Cancelled by TikTok's staff"),
    "": _("Cancelled"),
}
WHY: dict[str, Promise] = {
    "change_payment_method": _("wants to pay another way"),
    "discount_not_expected": _("the discount was not as expected"),
    "created_by_mistakes": _("ordered by mistake"),
    "high_delivery_costs": _("the delivery costs too much"),
    "better_price": _("found a better price"),
    "wrong_delivery_info": _("the delivery address was wrong"),
    "not_shipped_on_time": _("not shipped in time"),
    "no_longer_needed": _("no longer needed"),
    "forgot_to_apply_coupons": _("forgot to use a coupon"),
    "out_of_stock": _("out of stock"),
    "wrong_price": _("the price was wrong"),
    "address_not_deliver": _("the address cannot be delivered to"),
    "buyer_requested_cancellation": _("the buyer asked for it"),
    cancelling.OTHER: _("for another reason, see TikTok Seller Center"),
}


def told(by: str, why: str) -> str:
    """Both in a line; what is not known is left out."""
    return f"{BY[by]}: {WHY[why]}" if why else str(BY[by]) if by else ""
