"""Control from outside the process, as JSON under /_sandbox/: the same actions that tests call in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests

from shopify_app.sandbox import tokens
from shopify_app.sandbox.carriers import tracking_number
from shopify_app.sandbox.model import Draft, Order
from shopify_app.sandbox.problems import UserErrors

if TYPE_CHECKING:
    from shopify_app.sandbox import ShopifySandbox
    from shopify_app.sandbox.shop import ShopState

Result = tuple[int, Any]
ACTIONS = (
    *("add_product", "edit_variant", "delete_product"),
    *("create_draft", "edit_draft", "complete_draft", "delete_draft"),
    *("cancel_order", "delete_order", "refund_order", "edit_order_lines", "add_tags", "remove_tags"),
    *("show_fulfillment", "fulfill", "update_tracking", "report_shipment", "cancel_fulfillment"),
    *("grant_scopes", "uninstall", "redact", "request_customer_data", "redact_customer"),
)
SHOWN = 60


def answer(sandbox: ShopifySandbox, method: str, path: str, given: Any) -> Result:
    """Status and body for /_sandbox/<path>. Merchant actions take their arguments by name, plus `shop`."""
    if path.startswith("tiktok/"):
        return _pass_on(sandbox, method, path.removeprefix("tiktok/"), given)
    given = given if isinstance(given, dict) else {}
    known: dict[str, Callable[[], Any]] = {
        "ledger": lambda: sandbox.ledger,
        "violations": lambda: sandbox.violations,
        "mails": lambda: sandbox.mails,
        "state": lambda: state(sandbox),
        "clock": lambda: _clock(sandbox, **given),
        "faults": lambda: sandbox.faults.add(**given),
        "chance": lambda: sandbox.faults.chance(**given),
        "settings": lambda: _settings(sandbox, **given),
        "webhooks": lambda: _webhooks(sandbox, **given),
        "shops": lambda: sandbox.add_shop(**given).domain,
        "number": lambda: {"number": tracking_number(given["company"], sandbox.random)},
        "scopes": lambda: {"granted": _shop(sandbox, given).record.scopes},
        "id_token": lambda: {"id_token": tokens.session_token(_shop(sandbox, given))},
        "save": sandbox.save,
    }
    try:
        if path in known:
            return 200, known[path]()
        if path in ACTIONS and method == "POST":
            return 200, _act(_shop(sandbox, given), path, given)
    except UserErrors as problem:
        return 422, {"error": str(problem)}
    except (KeyError, TypeError, ValueError) as problem:
        return 400, {"error": f"{type(problem).__name__}: {problem}"}
    return 404, {"error": f"unknown, known are {sorted((*known, *ACTIONS))}"}


def state(sandbox: ShopifySandbox) -> dict[str, Any]:
    """What the panel shows: the newest drafts and orders of every shop."""
    with sandbox.lock:
        return {
            "now": sandbox.clock.now().isoformat(),
            "violations": len(sandbox.violations),
            "mails": len(sandbox.mails),
            "shops": {domain: _shop_state(shop) for domain, shop in sandbox.shops.items()},
        }


def _shop_state(shop: ShopState) -> dict[str, Any]:
    open_drafts = [d for d in shop.drafts.values() if not d.completed_at]
    return {
        "installed": shop.installed,
        "points": int(shop.bucket.level()),
        "counts": {"drafts": len(open_drafts), "orders": len(shop.orders)},
        "drafts": [_draft_row(d) for d in open_drafts[-SHOWN:][::-1]],
        "orders": [_order_row(o) for o in list(shop.orders.values())[-SHOWN:][::-1]],
        "variants": [
            {
                "id": v.id,
                "sku": v.sku,
                "price": str(v.price),
                "available": v.available,
                "reserved": v.reserved,
            }
            for v in shop.variants.values()
        ],
    }


def _draft_row(draft: Draft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "name": draft.name,
        "status": draft.status,
        "tags": draft.tags,
        "total": str(draft.totals.total),
        "currency": draft.currency,
        "created_at": draft.created_at.isoformat(),
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in draft.lines],
    }


def _order_row(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "name": order.name,
        "tags": order.tags,
        "total": str(order.totals.total),
        "currency": order.currency,
        "paid": order.financial_status,
        "shipped": order.display_fulfillment_status,
        "cancelled": order.cancelled_at is not None,
        "created_at": order.created_at.isoformat(),
        "lines": [
            {"id": line.id, "sku": line.sku, "quantity": line.quantity, "left": order.remaining(line)}
            for line in order.lines
        ],
        "fulfillments": [
            {"id": f.id, "status": f.status, "company": f.company, "numbers": f.numbers}
            for f in order.fulfillments
        ],
    }


def _shop(sandbox: ShopifySandbox, given: dict[str, Any]) -> ShopState:
    return sandbox.shop(given["shop"]) if "shop" in given else next(iter(sandbox.shops.values()))


def _act(shop: ShopState, action: str, given: dict[str, Any]) -> Any:
    method = getattr(shop, action)
    arguments = {name: value for name, value in given.items() if name != "shop"}
    rest = next(
        (p.name for p in inspect.signature(method).parameters.values() if p.kind is p.VAR_POSITIONAL), None
    )
    listed = arguments.pop(rest, ()) if rest else ()
    first = [arguments.pop("gid")] if rest and "gid" in arguments else []
    result = method(*first, *listed, **arguments)
    return {"id": result.id} if hasattr(result, "id") else {}


def _clock(sandbox: ShopifySandbox, advance: float = 0.0) -> dict[str, str]:
    sandbox.clock.advance(advance)
    return {"now": sandbox.clock.now().isoformat()}


def _settings(sandbox: ShopifySandbox, **values: Any) -> dict[str, Any]:
    if "retry_scale" in values:
        sandbox.webhooks.retry_scale = float(values.pop("retry_scale"))
    sandbox.settings.change(**values)
    return vars(sandbox.settings) | {"retry_scale": sandbox.webhooks.retry_scale}


def _webhooks(
    sandbox: ShopifySandbox,
    pause: bool | None = None,
    drop: int | None = None,
    drop_share: float | None = None,
) -> dict[str, int]:
    webhooks = sandbox.webhooks
    if pause is not None:
        (webhooks.pause if pause else webhooks.resume)()
    if drop is not None:
        webhooks.drop(drop)
    if drop_share is not None:
        webhooks.drop_share(drop_share)
    return {"sent": len(webhooks.sent), "failed": len(webhooks.failed), "dropped": len(webhooks.dropped)}


def _pass_on(sandbox: ShopifySandbox, method: str, path: str, given: Any) -> Result:
    """The panel speaks to the other sandbox through us, so that no browser rule stands between them."""
    if not sandbox.tiktok_url:
        return 404, {"error": "no TikTok sandbox was named"}
    try:
        reply = requests.request(method, f"{sandbox.tiktok_url}/_sandbox/{path}", json=given, timeout=10)
        return reply.status_code, reply.json()
    except requests.RequestException as error:
        return 502, {"error": type(error).__name__}
