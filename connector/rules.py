"""What is to become of an order that is not in Shopify yet, from what TikTok says of it. Pure (DESIGN, decisions)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from connector import mapping
from connector.policy import Policy
from tiktok.orders import Order as Source

BEFORE_SHIPPING = ("ON_HOLD", "AWAITING_SHIPMENT")
SHIPPED = ("AWAITING_COLLECTION", "IN_TRANSIT")
AFTER_SHIPPING = ("PARTIALLY_SHIPPING", *SHIPPED, "DELIVERED", "COMPLETED")
ORDER_TYPES = (
    "",
    "NORMAL",
    "ZERO_LOTTERY",
    "AUCTION",
    "PRE_ORDER",
    "MADE_TO_ORDER",
    "BACK_ORDER",
    "VIRTUAL_ORDER",
)


class Fate(Enum):
    WAIT = auto()  # not paid yet
    TAKE = auto()  # into Shopify
    CANCELLED = auto()
    SKIP = auto()  # not ours
    OUTSIDE = auto()  # somebody shipped it before we knew of it
    OFFER = auto()  # older than the connection: a person chooses
    ASK = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    fate: Fate
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


def entry(source: Source, policy: Policy, *, started_at: datetime, chosen: bool) -> Verdict:
    """Whether, and why not, an order goes into Shopify. `chosen`: a person said import it anyway."""
    if source.cancelled:
        return Verdict(Fate.CANCELLED)
    if source.status == "UNPAID":
        return Verdict(Fate.WAIT)
    if source.status not in BEFORE_SHIPPING + AFTER_SHIPPING:
        return Verdict(Fate.ASK, "unknown_status", {"status": source.status})
    if source.order_type not in ORDER_TYPES:
        return Verdict(Fate.ASK, "unknown_kind", {"kind": source.order_type})
    if shipped_by_tiktok(source):
        return Verdict(Fate.SKIP, "tiktok_ships", {"shipping_type": source.shipping_type})
    if not chosen:
        if source.status in AFTER_SHIPPING:
            return Verdict(Fate.OUTSIDE, "shipped_outside", {"status": source.status})
        if source.create_time and source.create_time < started_at:
            return Verdict(Fate.OFFER, "older_than_connection")
        if skipped := mapping.kinds(source) & set(policy.skip_kinds):
            return Verdict(Fate.SKIP, "kind_skipped", {"kinds": sorted(skipped)})
    if source.status != "ON_HOLD" and source.masked:
        return Verdict(Fate.SKIP, "address_masked")
    return unbookable(source) or Verdict(Fate.TAKE)


def unbookable(source: Source) -> Verdict | None:
    """What is wrong with the order's own lines and figures."""
    if all(line.cancelled for line in source.line_items):
        return Verdict(Fate.ASK, "no_lines")
    if not told_apart(source):
        return Verdict(Fate.ASK, "lines_incomplete")
    if problem := mapping.money_problem(source):
        return Verdict(Fate.ASK, "amounts_mismatch", problem.detail)
    return None


def told_apart(source: Source) -> bool:
    """Whether every unit has an id of its own, and says what was sold: without, a wrong thing would be sent."""
    ids = {line.id for line in source.line_items if line.id}
    return len(ids) == len(source.line_items) and all(line.sku_id for line in source.line_items)


def shipped_by_tiktok(source: Source) -> bool:
    return not source.seller_ships or source.order_type == "VIRTUAL_ORDER"
