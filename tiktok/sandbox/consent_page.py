"""The page where a seller approves or refuses the app (TikTok contract 1.2)."""

import html
import urllib.parse
from typing import TYPE_CHECKING

from tiktok.sandbox.state import App, Seller

if TYPE_CHECKING:
    from tiktok.sandbox.platform import TikTokSandbox

Page = tuple[int, bytes, dict[str, str]]
HTML = {"Content-Type": "text/html; charset=utf-8"}
FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Authorize {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}}
section{{border:1px solid #ccc;border-radius:12px;padding:1rem 1.25rem;margin:1rem 0}}
h2{{margin:.2rem 0;font-size:1.1rem}}
a{{display:inline-block;padding:.5rem 1rem;border-radius:8px;margin:.5rem .5rem 0 0;text-decoration:none}}
.yes{{background:#111;color:#fff}}.no{{border:1px solid #999;color:#111}}.bare{{color:#555}}</style>
<h1>TikTok Shop: authorize this app</h1>{body}</html>"""


def handle(sandbox: "TikTokSandbox", path: str, query: dict[str, list[str]]) -> Page:
    """/open/authorize shows the page; /open/authorize/decide sends the browser back to the app."""
    app = next(
        (app for app in sandbox.apps.values() if app.service_id == query.get("service_id", [""])[0]), None
    )
    if app is None:
        return 400, FRAME.format(title="", body="<p>Unknown service_id.</p>").encode(), HTML
    if path == "/open/authorize":
        return 200, _page(sandbox, app, query.get("state", [None])[0]).encode(), HTML
    if path == "/open/authorize/decide":
        back = sandbox.consent(
            query["seller"][0],
            state=query.get("state", [None])[0],
            deny=query.get("decision", [""])[0] != "approve",
        )
        return 302, b"", {"Location": back}
    return 404, b"", HTML


def _page(sandbox: "TikTokSandbox", app: App, state: str | None) -> str:
    sellers = [seller for seller in sandbox.world.sellers if seller.app == app.name]
    return FRAME.format(title=app.name, body="".join(_section(app, seller, state) for seller in sellers))


def _section(app: App, seller: Seller, state: str | None) -> str:
    shops = "".join(f"<li>{html.escape(shop.name)} ({shop.region}, {shop.id})</li>" for shop in seller.shops)
    return (
        f"<section><h2>{html.escape(seller.name)}</h2><ul>{shops}</ul>"
        f'<a class="yes" href="{_link(app, seller, state, "approve")}">Approve</a>'
        f'<a class="no" href="{_link(app, seller, state, "refuse")}">Refuse</a>'
        f'<a class="bare" href="{_link(app, seller, None, "approve")}">Approve without state (App Store)</a>'
        "</section>"
    )


def _link(app: App, seller: Seller, state: str | None, decision: str) -> str:
    values = {"service_id": app.service_id, "seller": seller.open_id, "decision": decision}
    if state is not None:
        values["state"] = state
    return html.escape("/open/authorize/decide?" + urllib.parse.urlencode(values))
