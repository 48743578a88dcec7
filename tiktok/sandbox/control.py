"""/_sandbox/: the same actions as the Python methods, for other processes (JSON in, JSON out)."""

import dataclasses
import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tiktok.sandbox.orders import order_json
from tiktok.sandbox.shipping import Refused

if TYPE_CHECKING:
    from tiktok.sandbox.platform import TikTokSandbox

Page = tuple[int, bytes, dict[str, str]]
# fmt: off
ACTIONS = frozenset((
    "consent", "grant", "deauthorize", "expire_tokens", "take_scope", "authorization_expiring",
    "place_order", "place_kind", "pay", "release", "cancel", "cancel_lines", "buyer_requests_cancel",
    "decide_cancel", "change_address", "change_lines", "change_quantity", "switch_to_tiktok_shipping",
    "switch_to_seller_shipping", "mask", "withhold_address", "combine", "open_return", "close_return", "ship_outside",
    "carrier_scan", "deliver", "complete", "new_number", "stream", "stop_stream", "add_seller",
))
# fmt: on
WEBHOOK_KNOBS = frozenset(
    ["retry_scale", "late_or_doubled", "late_seconds", "lose", "repeat", "shuffle_seconds", "hook_url"]
)


def handle(sandbox: "TikTokSandbox", method: str, path: str, body: bytes) -> Page:
    """GET reads a view, POST performs an action; a mistake of the caller is a 400 with its words."""
    name = path.removeprefix("/_sandbox").strip("/")
    try:
        result = (
            _read(sandbox, name) if method == "GET" else _perform(sandbox, name, json.loads(body or b"{}"))
        )
    except Refused as refusal:
        return _page(409, {"code": refusal.code, "message": refusal.message})
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return _page(400, {"error": f"{type(error).__name__}: {error}"})
    return _page(200, result)


def _read(sandbox: "TikTokSandbox", name: str) -> Any:
    with sandbox.lock:
        sandbox.tick()
        if name.startswith("orders/"):
            return _order(sandbox, name.removeprefix("orders/"))
        views: dict[str, Callable[[], Any]] = {
            "ledger": lambda: sandbox.ledger,
            "violations": lambda: sandbox.violations,
            "state": lambda: _state(sandbox),
            "orders": lambda: [_order(sandbox, order_id) for order_id in sandbox.world.orders],
            "shops": lambda: [dataclasses.asdict(seller) for seller in sandbox.world.sellers],
            "webhooks": lambda: [_without_delivery(entry) for entry in sandbox.webhooks.sent],
            "personal": lambda: sorted(sandbox.personal_values()),
        }
        return views[name]()


def _perform(sandbox: "TikTokSandbox", name: str, values: dict[str, Any]) -> Any:
    if name in ACTIONS:
        return getattr(sandbox, name)(**values)
    if name == "clock":
        return sandbox.clock.advance(float(values["advance"]))
    if name == "faults":
        return sandbox.faults.clear() if values.get("clear") else sandbox.faults.add(**values)
    if name == "fault_share":
        kinds = values.pop("kinds", [])
        return sandbox.faults.share(values.pop("probability"), *kinds, **values)
    if name == "settings":
        for key, value in values.items():
            _set(sandbox, key, value)
        return None
    if name in ("webhooks/pause", "webhooks/resume", "webhooks/replay"):
        return getattr(sandbox.webhooks, name.split("/")[1])()
    if name == "webhooks/drop":
        return sandbox.webhooks.drop(int(values["count"]))
    raise KeyError(name)


def _set(sandbox: "TikTokSandbox", key: str, value: Any) -> None:
    target: Any = sandbox.webhooks if key in WEBHOOK_KNOBS else sandbox.settings
    former = getattr(target, key)
    setattr(target, key, type(former)(value) if isinstance(former, (frozenset, tuple)) else value)


def _state(sandbox: "TikTokSandbox") -> Any:
    world = sandbox.world
    statuses: dict[str, int] = {}
    for order in world.orders.values():
        statuses[order.status] = statuses.get(order.status, 0) + 1
    return {
        "now": sandbox.clock.now().isoformat(),
        "orders": statuses,
        "packages": len(world.packages),
        "grants": [{"app": app, "open_id": open_id} for app, open_id in world.grants],
        "calls": sandbox.calls,
        "settings": dataclasses.asdict(sandbox.settings),
    }


def _order(sandbox: "TikTokSandbox", order_id: str) -> Any:
    shown = order_json(
        sandbox.world.orders[order_id],
        style=sandbox.settings.hold_address,
        now=sandbox.clock.seconds(),
        detail=True,
    )
    return shown | {"shop_id": sandbox.world.orders[order_id].shop_id}


def _without_delivery(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if not key.startswith("_")}


def _page(status: int, result: Any) -> Page:
    return status, json.dumps(result, default=_plain).encode(), {}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
