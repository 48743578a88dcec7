"""A webhook, verified on the raw bytes and reduced to ids and status words (Shopify contract 4)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.utils import timezone

from .auth import shop_of
from .errors import BadSignature, Malformed, ShopifyError

REQUIRED = (
    "X-Shopify-Topic",
    "X-Shopify-Hmac-Sha256",
    "X-Shopify-Shop-Domain",
    "X-Shopify-API-Version",
    "X-Shopify-Webhook-Id",
)
HEADERS = (*REQUIRED, "X-Shopify-Triggered-At")  # all that is read of a delivery's
TOPIC = re.compile(r"[\w./-]{1,64}", re.ASCII)
KEY = re.compile(r"[!-~]{1,255}")
LONGEST_WORD = 64  # times and status words
LONGEST_SKU = 255
MOST_VARIANTS = 100  # that the webhook of a product tells of
LARGEST_ID = 2**63
FIRST_YEAR, LAST_YEAR = 2000, 2100


class MissingHeaders(ShopifyError):
    """Not a webhook of Shopify: answer 400."""


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery. `key` is unique to it; `facts` are ids, tags and status words, never personal data."""

    key: str
    topic: str
    shop_domain: str
    triggered_at: datetime
    facts: dict[str, Any]


def parse(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> Event:
    """The event behind a delivery. `headers` ignores case; `secrets` are the current and the old one.

    Raises MissingHeaders, BadSignature, or Malformed for a signed body that is not the documented shape.
    """
    topic, signature, domain, _, key = _required(headers)
    if not any(hmac.compare_digest(signature.encode(), _sign(secret, body)) for secret in secrets if secret):
        raise BadSignature("the webhook's signature is wrong", code="bad_signature")
    shop_domain = shop_of(domain)
    if shop_domain is None:
        raise Malformed("the webhook names no shop", code="malformed")
    if not (TOPIC.fullmatch(topic) and KEY.fullmatch(key)):  # headers are not signed
        raise Malformed("the webhook names no topic or has no id", code="malformed")
    triggered_at = _time(headers.get("X-Shopify-Triggered-At"))
    return Event(key, topic, shop_domain, triggered_at, _facts(topic, _json(body)))


def signature(secret: str, body: bytes) -> str:
    """What X-Shopify-Hmac-Sha256 holds: base64 of HMAC-SHA256 over the bytes as received."""
    return _sign(secret, body).decode()


def _required(headers: Mapping[str, str]) -> list[str]:
    values = [headers.get(name, "") for name in REQUIRED]
    if not all(values):
        missing = ", ".join(name for name, value in zip(REQUIRED, values, strict=True) if not value)
        raise MissingHeaders(f"missing headers: {missing}", code="missing_headers")
    return values


def _sign(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("the webhook's body is not JSON", code="malformed") from None
    if not isinstance(data, dict):
        raise Malformed("the webhook's body is not an object", code="malformed")
    return data


def _facts(topic: str, data: dict[str, Any]) -> dict[str, Any]:
    """What we keep of a topic; of a topic we do not know, nothing."""
    reader = READERS.get(topic)
    try:
        return reader(data) if reader else {}
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise Malformed(f"{topic} without its fields", code="malformed") from None


def _gid(kind: str, number: Any) -> str:
    known = int(number) if isinstance(number, str) and number.isascii() and number.isdecimal() else number
    if type(known) is not int or not 0 < known < LARGEST_ID:
        raise ValueError(kind)
    return f"gid://shopify/{kind}/{known}"


def _word(data: dict[str, Any], name: str) -> str:
    """A time or a status word. PostgreSQL knows no NUL."""
    value = data.get(name) or ""
    if not isinstance(value, str) or len(value) > LONGEST_WORD or "\x00" in value:
        raise TypeError(name)
    return value


def _object(kind: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: {"id": _gid(kind, data["id"]), "updated_at": _word(data, "updated_at")}


def _fulfillment(data: dict[str, Any]) -> dict[str, Any]:
    return {
        **_object("Fulfillment")(data),
        "order_id": _gid("Order", data["order_id"]),
        "status": _word(data, "status"),
    }


def _draft(data: dict[str, Any]) -> dict[str, Any]:
    return {
        **_object("DraftOrder")(data),
        "order_id": _gid("Order", data["order_id"]) if data.get("order_id") else "",
        "status": _word(data, "status"),
        "tags": _tags(data),
    }


def _order(data: dict[str, Any]) -> dict[str, Any]:
    return {
        **_object("Order")(data),
        "cancelled_at": _word(data, "cancelled_at"),
        "financial_status": _word(data, "financial_status"),
        "tags": _tags(data),
    }


def _product(data: dict[str, Any]) -> dict[str, Any]:
    """Its SKUs; and whether it may have more of them, as the webhook of a product of many variants leaves some out."""
    told = [variant.get("sku") for variant in data.get("variants") or ()]
    skus = {sku for sku in told if isinstance(sku, str) and 0 < len(sku) <= LONGEST_SKU and "\x00" not in sku}
    return {**_object("Product")(data), "skus": sorted(skus), "more": len(told) >= MOST_VARIANTS}


def _tags(data: dict[str, Any]) -> list[str]:
    listed = data.get("tags") or ""
    if not isinstance(listed, str):
        raise TypeError("tags")
    return [tag for tag in (part.strip() for part in listed.replace("\x00", "").split(",")) if tag]


def _scopes(data: dict[str, Any]) -> dict[str, Any]:
    scopes = data["current"]
    if not isinstance(scopes, list) or not all(isinstance(s, str) and TOPIC.fullmatch(s) for s in scopes):
        raise TypeError("current")
    return {"scopes": scopes}


def _orders_of_customer(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: {"orders": [_gid("Order", number) for number in data.get(name) or ()]}


# Requests about people's data, each to be answered in time (Shopify contract: mandatory compliance webhooks).
COMPLIANCE = ("customers/data_request", "customers/redact", "shop/redact")

READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "fulfillments/create": _fulfillment,
    "fulfillments/update": _fulfillment,
    "orders/cancelled": _order,
    "orders/updated": _order,
    "orders/delete": _object("Order"),
    "draft_orders/create": _draft,
    "draft_orders/update": _draft,
    "draft_orders/delete": _object("DraftOrder"),
    "refunds/create": lambda data: {
        "id": _gid("Refund", data["id"]),
        "order_id": _gid("Order", data["order_id"]),
    },
    "products/create": _product,
    "products/delete": _object("Product"),
    "app/uninstalled": lambda data: {},
    "app/scopes_update": _scopes,
    "customers/data_request": _orders_of_customer("orders_requested"),
    "customers/redact": _orders_of_customer("orders_to_redact"),
    "shop/redact": lambda data: {"id": _gid("Shop", data["shop_id"])},
}


def _time(text: str | None) -> datetime:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return timezone.now()
    known = moment.tzinfo is not None and FIRST_YEAR < moment.year < LAST_YEAR
    return moment if known else timezone.now()
