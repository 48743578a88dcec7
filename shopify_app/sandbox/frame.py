"""The stand-in admin: a page that frames the app as Shopify's admin does, and the two scripts of its CDN."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from shopify_app.sandbox.tokens import session_token

if TYPE_CHECKING:
    from shopify_app.sandbox import ShopifySandbox
    from shopify_app.sandbox.server import Answer
    from shopify_app.sandbox.shop import ShopState

ASSETS = Path(__file__).parent / "assets"
APP_PAGE = re.compile(r"/admin/store/(?P<handle>[^/]+)/apps/(?P<app>[^/]+)(?P<path>/.*)?")
TYPES = {".js": "text/javascript; charset=utf-8", ".html": "text/html; charset=utf-8"}


def answer(sandbox: ShopifySandbox, path: str, query: dict[str, str], host: str) -> Answer:
    """The admin page of an app, a CDN script, or 404."""
    from shopify_app.sandbox.server import Answer

    if path in ("/cdn/app-bridge.js", "/cdn/polaris.js"):
        headers = {
            "Content-Type": TYPES[".js"],
            "Access-Control-Allow-Origin": "*",
            "Cache-Control": "no-cache",
        }
        return Answer(200, (ASSETS / path.removeprefix("/cdn/")).read_bytes(), headers)
    match = APP_PAGE.fullmatch(path)
    shop = _by_handle(sandbox, match["handle"]) if match else None
    if match is None or shop is None or match["app"] != sandbox.app_handle:
        return Answer(404, b"Not found", {"Content-Type": "text/plain"})
    page = _page(sandbox, shop, match["path"] or "/", query)
    return Answer(200, page.encode(), {"Content-Type": TYPES[".html"], "Cache-Control": "no-store"})


def app_load_url(sandbox: ShopifySandbox, shop: ShopState, path: str, query: dict[str, str]) -> str:
    """A document load as the admin makes it: a fresh session token and the signed query (Shopify contract 2.1)."""
    host = base64.b64encode(f"admin.shopify.com/store/{shop.handle}".encode()).decode().rstrip("=")
    given = {
        **query,
        "embedded": "1",
        "host": host,
        "id_token": session_token(shop),
        "locale": "en",
        "shop": shop.domain,
        "timestamp": str(int(sandbox.clock.now().timestamp())),
    }
    signed = "&".join(f"{name}={given[name]}" for name in sorted(given))
    digest = hmac.new(sandbox.api_secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return f"{sandbox.app_url}{path}?{urlencode({**given, 'hmac': digest})}"


def _page(sandbox: ShopifySandbox, shop: ShopState, path: str, query: dict[str, str]) -> str:
    with sandbox.lock:
        load = app_load_url(sandbox, shop, path, query)
    facts = {
        "shop": shop.domain,
        "handle": shop.handle,
        "appUrl": sandbox.app_url,
        "appBase": f"/admin/store/{shop.handle}/apps/{sandbox.app_handle}",
        "apiKey": sandbox.api_key,
    }
    page = (ASSETS / "admin.html").read_text()
    facts_json = json.dumps(facts).replace("<", "\\u003c")
    for mark, value in (("{{name}}", shop.record.name), ("{{load}}", load), ("{{shop}}", shop.domain)):
        page = page.replace(mark, html.escape(value))
    return page.replace("{{facts}}", facts_json)


def _by_handle(sandbox: ShopifySandbox, handle: str) -> ShopState | None:
    return next((shop for shop in sandbox.shops.values() if shop.handle == handle), None)
