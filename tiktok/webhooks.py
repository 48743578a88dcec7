"""TikTok's webhooks: verified on the raw bytes, and reduced to what a doorbell may say."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from tiktok import signing
from tiktok.errors import BadSignature, Malformed
from tiktok.fields import Raw, moment, part, parts, text, texts

HEADERS = ("Authorization",)  # all that is read of a delivery's
TOPICS = {
    1: "ORDER_STATUS_CHANGE",
    2: "REVERSE_STATUS_UPDATE",
    3: "RECIPIENT_ADDRESS_UPDATE",
    4: "PACKAGE_UPDATE",
    5: "PRODUCT_STATUS_CHANGE",
    6: "SELLER_DEAUTHORIZATION",
    7: "UPCOMING_AUTHORIZATION_EXPIRATION",
    11: "CANCELLATION_STATUS_CHANGE",
    12: "RETURN_STATUS_CHANGE",
    13: "NEW_CONVERSATION",
    14: "NEW_MESSAGE",
    15: "PRODUCT_INFORMATION_CHANGE",
    16: "PRODUCT_CREATION",
    18: "PRODUCT_CATEGORY_CHANGE",
    27: "InventoryStatusChange",
    33: "NEW_MESSAGE_LISTENER",
    36: "INVOICE_STATUS_CHANGE",
    37: "PRODUCT_AUDIT_STATUS_CHANGE",
    50: "SKUStatusChange",
    64: "AftersalesRequestStatusUpdate",
    65: "RMAStatusUpdate",
    67: "RefundSuccess",
    71: "InventoryChangedByShop",
}
ADDRESS_UPDATE = 3  # the one type without a notification id
ABOUT_AN_ORDER = frozenset((1, 3, 11, 12))

# What is kept of `data`: ids, status words and times. Nothing that can hold a person's words.
FACTS = {
    1: ("order_id", "order_status", "is_on_hold_order", "update_time"),
    3: ("order_id", "update_time"),
    4: ("sc_type", "role_type", "update_time"),
    5: ("product_id", "status", "update_time"),
    7: ("expiration_time",),
    11: ("order_id", "cancellations_role", "cancel_status", "cancel_id", "create_time"),
    12: (
        "order_id",
        "return_role",
        "return_type",
        "return_status",
        "return_id",
        "create_time",
        "update_time",
    ),
    15: ("product_id", "change_source", "update_time"),
    16: ("product_id", "update_time"),
    64: ("aftersales_request_id", "return_role", "aftersales_request_status"),
    65: ("rma_id", "aftersales_request_id", "return_role", "rma_status"),
    67: ("aftersales_request_id", "rma_id", "refund_status", "refund_timestamp"),
}
WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Event:
    """A doorbell: which shop and object to look at again. `key` is the same for a repeated delivery."""

    key: str
    type: int
    topic: str
    shop_id: str
    order_id: str
    timestamp: datetime
    facts: dict[str, Any]


def parse(headers: Mapping[str, str], body: bytes, apps: Mapping[str, Mapping[str, str]]) -> Event:
    """The event in a delivery. `apps` are our registrations: `app_key` and `app_secret` of each.

    Raises BadSignature, or Malformed when TikTok signed something of another shape than documented.
    """
    verify(headers.get("Authorization", ""), body, apps)
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("A signed webhook is not JSON") from None
    if not isinstance(raw, dict):
        raise Malformed("A signed webhook is not an object")
    return read_event(raw, body)


def verify(signature: str, body: bytes, apps: Mapping[str, Mapping[str, str]]) -> None:
    given = signature.encode("utf-8", "replace")  # compare_digest takes no non-ASCII text
    for app in apps.values():
        expected = signing.webhook_signature(app["app_key"], app["app_secret"], body)
        if hmac.compare_digest(expected.encode(), given):
            return
    raise BadSignature("The signature of a webhook fits none of our registrations")


def read_event(raw: Raw, body: bytes) -> Event:
    kind = raw.get("type")
    if not isinstance(kind, int) or isinstance(kind, bool):
        raise Malformed("A signed webhook has no type")
    data = part(raw, "data")
    order_id, shop_id = text(data, "order_id"), text(raw, "shop_id")
    if shop_id and not WORD.fullmatch(shop_id):
        raise Malformed("A signed webhook names a shop that cannot be one")
    if not WORD.fullmatch(order_id):
        if kind in ABOUT_AN_ORDER:
            raise Malformed(f"A signed webhook of type {kind} names no order")
        order_id = ""
    return Event(
        key=find_key(raw, kind, data, body),
        type=kind,
        topic=TOPICS.get(kind, f"TYPE_{kind}"),
        shop_id=shop_id,
        order_id=order_id,
        timestamp=moment(raw, "timestamp")
        or datetime.now(UTC),  # only the type is sure to come (contract 3.1)
        facts=find_facts(kind, data),
    )


def find_key(raw: Raw, kind: int, data: Raw, body: bytes) -> str:
    if kind == ADDRESS_UPDATE and WORD.fullmatch(text(data, "update_time")):
        return f"{kind}:{text(data, 'order_id')}:{text(data, 'update_time')}"
    notification = text(raw, "tts_notification_id")
    return notification if WORD.fullmatch(notification) else f"{kind}:{hashlib.sha256(body).hexdigest()}"


def address_changed_at(facts: Raw) -> datetime | None:
    """Of an address update: when the address changed, by TikTok's clock."""
    return moment(facts, "update_time")


def grant_ends_at(facts: Raw) -> datetime | None:
    """Of an authorization that expires: when."""
    return moment(facts, "expiration_time")


def find_facts(kind: int, data: Raw) -> dict[str, Any]:
    facts = {name: data[name] for name in FACTS.get(kind, ()) if harmless(data.get(name))}
    if kind == 4:
        packages = list(parts(data, "package_list"))
        facts["package_ids"] = list(
            filter(WORD.fullmatch, (text(package, "package_id") for package in packages))
        )
        orders = [order_id for package in packages for order_id in texts(package, "order_id_list")]
        facts["order_ids"] = list(filter(WORD.fullmatch, orders))
    return facts


def harmless(value: object) -> bool:
    """A number, a flag, or one short word: nothing that can carry a name."""
    return isinstance(value, int) or (isinstance(value, str) and WORD.fullmatch(value) is not None)
