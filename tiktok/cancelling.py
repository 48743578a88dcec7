"""Who cancelled an order and why, as far as TikTok says it in words of its own: free text is not read. Pure.

The order shows a display text ("No longer needed") where cancellations show a key; either becomes the same word here
(TikTok contract 6.1).
"""

import re

BUYER, SELLER, SYSTEM, OPERATOR = "BUYER", "SELLER", "SYSTEM", "OPERATOR"
ROLES = frozenset({BUYER, SELLER, SYSTEM, OPERATOR})
OTHER = "other"  # TikTok gives a reason that is not on the list
KEY = re.compile(
    r"^(ecom_order_to_ship_canceled_reason|seller_cancel_paid_reason|seller_cancel_reason|system_cancel_reason)_|_uk$"
)
REASONS = frozenset(
    {
        # the buyer's
        "change_payment_method",
        "discount_not_expected",
        "created_by_mistakes",
        "high_delivery_costs",
        "better_price",
        "wrong_delivery_info",
        "not_shipped_on_time",
        "no_longer_needed",
        "forgot_to_apply_coupons",
        # the seller's
        "out_of_stock",
        "wrong_price",
        "address_not_deliver",
        "buyer_requested_cancellation",
    }
)


def role(told: str) -> str:
    """Who did it, "" for a word that is none of TikTok's."""
    return told if told in ROLES else ""


def why(told: str) -> str:
    """The reason as one of REASONS; OTHER for any other text, "" where there is none."""
    word = KEY.sub("", re.sub(r"[^a-z]+", "_", told.casefold()).strip("_"))
    return word if word in REASONS else OTHER if told else ""
