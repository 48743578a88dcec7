"""The stand-in admin: a page that frames the app as Shopify's admin does, and the two scripts of its CDN."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from shopify_app.sandbox.model import Draft, Order
from shopify_app.sandbox.tokens import session_token

if TYPE_CHECKING:
    from shopify_app.sandbox import ShopifySandbox
    from shopify_app.sandbox.shop import ShopState

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = {"/cdn/app-bridge.js": "app-bridge.js", "/cdn/polaris.js": "polaris.js"}
APP_PAGE = re.compile(r"/admin/store/(?P<handle>[^/]+)/apps/(?P<app>[^/]+)(?P<path>/.*)?")
RECORD_PAGE = re.compile(r"/admin/store/(?P<handle>[^/]+)/(?P<kind>orders|draft_orders)/(?P<number>\d+)")
GIDS = {"orders": "gid://shopify/Order/", "draft_orders": "gid://shopify/DraftOrder/"}


@dataclass
class Page:
    content: bytes
    type: str = "text/html; charset=utf-8"


def page(sandbox: ShopifySandbox, path: str, query: dict[str, str]) -> Page | None:
    """An app in the admin, an order or draft, or a CDN script; None for any other path."""
    if path in SCRIPTS:
        return Page((ASSETS / SCRIPTS[path]).read_bytes(), "text/javascript; charset=utf-8")
    if match := APP_PAGE.fullmatch(path):
        shop = _by_handle(sandbox, match["handle"])
        if shop and match["app"] == sandbox.app_handle:
            return Page(_app_page(sandbox, shop, match["path"] or "/", query).encode())
    if match := RECORD_PAGE.fullmatch(path):
        shop = _by_handle(sandbox, match["handle"])
        gid = GIDS[match["kind"]] + match["number"]
        thing = (shop.orders.get(gid) or shop.drafts.get(gid)) if shop else None
        if shop and thing:
            return Page(_record_page(sandbox, shop, thing).encode())
    return None


def app_load_url(
    sandbox: ShopifySandbox, shop: ShopState, path: str = "/", query: dict[str, str] | None = None
) -> str:
    """A document load as the admin makes it: a fresh session token and the signed query (Shopify contract 2.1)."""
    given = {
        **(query or {}),
        "embedded": "1",
        "host": base64.b64encode(f"admin.shopify.com/store/{shop.handle}".encode()).decode().rstrip("="),
        "id_token": session_token(shop),
        "locale": "en",
        "shop": shop.domain,
        "timestamp": str(int(sandbox.clock.now().timestamp())),
    }
    signed = "&".join(f"{name}={given[name]}" for name in sorted(given))
    digest = hmac.new(sandbox.api_secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return f"{sandbox.app_url}{path}?{urlencode({**given, 'hmac': digest})}"


def _app_page(sandbox: ShopifySandbox, shop: ShopState, path: str, query: dict[str, str]) -> str:
    facts = {
        "shop": shop.domain,
        "handle": shop.handle,
        "appUrl": sandbox.app_url,
        "appBase": _app_base(sandbox, shop),
    }
    marks = {"name": shop.record.name, "shop": shop.domain, "load": app_load_url(sandbox, shop, path, query)}
    made = _filled("admin.html", marks)
    return made.replace("{{facts}}", json.dumps(facts).replace("<", "\\u003c"))


def _record_page(sandbox: ShopifySandbox, shop: ShopState, thing: Draft | Order) -> str:
    """What a merchant would look up; no address, as nobody needs one here."""
    kind = "Draft" if isinstance(thing, Draft) else "Order"
    made = _filled("record.html", {"title": f"{kind} {thing.name}", "back": _app_base(sandbox, shop)})
    lines = [(f"{line.quantity} × {line.sku or line.title}", f"{line.unit_price}") for line in thing.lines]
    tables = [_table(_facts(thing)), _table(lines)]
    if isinstance(thing, Order) and thing.fulfillments:
        tables.append(
            _table((f.name, f"{f.company} {' '.join(f.numbers)} ({f.status})") for f in thing.fulfillments)
        )
    return made.replace("{{rows}}", "".join(tables))


def _facts(thing: Draft | Order) -> list[tuple[str, str]]:
    if isinstance(thing, Draft):
        state = thing.status.lower()
    else:
        words = (
            thing.financial_status,
            thing.display_fulfillment_status,
            "CANCELLED" if thing.cancelled_at else "",
        )
        state = ", ".join(word.lower() for word in words if word)
    facts = [
        ("State", state),
        ("Total", f"{thing.totals.total} {thing.currency}"),
        ("Tags", ", ".join(thing.tags)),
        ("Note", thing.note or ""),
        ("Details", ", ".join(f"{key}: {value}" for key, value in thing.attributes.items())),
    ]
    return [(name, value) for name, value in facts if value]


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows
    )
    return f"<section><table>{cells}</table></section>"


def _filled(template: str, marks: dict[str, str]) -> str:
    made = (ASSETS / template).read_text()
    for name, value in marks.items():
        made = made.replace(f"{{{{{name}}}}}", html.escape(value))
    return made


def _app_base(sandbox: ShopifySandbox, shop: ShopState) -> str:
    return f"/admin/store/{shop.handle}/apps/{sandbox.app_handle}"


def _by_handle(sandbox: ShopifySandbox, handle: str) -> ShopState | None:
    return next((shop for shop in sandbox.shops.values() if shop.handle == handle), None)
