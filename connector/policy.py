"""What a merchant decided for one connection. Pure: JSON in, a frozen value out, and its defaults."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

SELLER_EARNS, BUYER_PAID = "seller_earns", "buyer_paid"
ASK, CUSTOM_LINE = "ask", "custom_line"

# Kinds of order that a rule can keep out; the others are imported and tagged.
KINDS = (
    "sample",
    "gift",
    "replacement",
    "exchange",
    "subscription",
    "pre-order",
    "made-to-order",
    "back-order",
    "combined",
    "split",
    "bundle",
)


@dataclass(frozen=True, slots=True)
class Policy:
    money_mode: str = SELLER_EARNS
    tax_line: bool = False
    extra_tags: tuple[str, ...] = ()
    note: str = ""  # the merchant's own sentence, added to ours
    shipping_title: str = "TikTok Shop shipping"
    unmatched: str = ASK
    skip_kinds: tuple[str, ...] = ()
    delay_seconds: int = 0  # the shop's own wait for orders that TikTok never held
    payment_method: str = ""  # a manual payment method of that name in Shopify (contract A+)
    fallback_provider: str = ""  # a provider id, off by default
    reserve_margin_seconds: int = 2 * 3600
    cancel_in_shopify: bool = True  # a TikTok cancellation cancels the Shopify order; else it asks
    alert_email: str = ""  # the merchant's own, for alerts; off by default
    other_connector_tags: tuple[str, ...] = field(default=())

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in stored.items() if k in known
        }
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
