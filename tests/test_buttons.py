"""Every reason names a button, and the button is on the page and does something."""

import ast
import re
from pathlib import Path

import pytest

import connector
from connector import reasons
from connector.models import Connection, Parcel
from connector.reasons import ACTIONS, ROWS, Reason
from connector.states import OrderState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_reasons import codes_of
from tests.visits import Visitor

# What of the page is pressed or followed, and the address behind it.
POSTS = {
    reasons.LOOK_AGAIN: r'id="look"[^>]* hx-post="(/orders/\d+/look-again)"',
    reasons.IMPORT: r'commandfor="import" command="--show".* hx-post="(/orders/\d+/import)"',
    reasons.FINALIZE_ANYWAY: r'commandfor="complete" command="--show".* hx-post="(/orders/\d+/complete-anyway)"',
    reasons.RESTORE_DRAFT: r'commandfor="restore" command="--show".* hx-post="(/orders/\d+/restore)"',
    reasons.SEND_ANYWAY: r'commandfor="send-\d+" command="--show".* hx-post="(/parcels/\d+/send-anyway)"',
    reasons.DISMISS: r' hx-post="(/(?:orders|parcels)/\d+/dismiss)"',
}
LINKS = {
    reasons.MAP_SKU: r'href="(/products\?connection=\d+)',
    reasons.MAP_CARRIER: r'href="(/carriers\?connection=\d+)',
    reasons.RECONNECT_TIKTOK: r'<p class="acts"><a [^>]*href="(/connections)"',
    reasons.RECONNECT_SHOPIFY: r'<p class="acts"><a [^>]*href="(/connections)"',
    reasons.SETTINGS: r'href="(/settings\?connection=\d+)',
    reasons.GO_ON: r'<p class="acts"><a [^>]*href="(/)"',
}
OUTSIDE = {
    reasons.OPEN_TIKTOK: r'<p class="acts"><a [^>]*href="(https://seller-us\.tiktok\.com/[^"]+)"',
    reasons.OPEN_SHOPIFY: r'<p class="acts"><a [^>]*href="(https?://[^"]+/(?:draft_)?orders/\d+)"',
}


def of_parcels() -> set[str]:
    """The codes that a parcel is given."""
    floor = Path(connector.__file__).parent
    sources = [(floor / name).read_text(encoding="utf-8") for name in ("parcels.py", "carriers.py")]
    return {code for source in sources for code in codes_of(ast.parse(source))}


PARCELS = of_parcels() | {row.code for row in ROWS if row.action in (reasons.SEND_ANYWAY, reasons.DISMISS)}
BOTH = {"tiktok_ships", "order_not_found", "shipped_elsewhere"}
CASES = [(row, "order") for row in ROWS if row.code not in PARCELS - BOTH]
CASES += [(row, "parcel") for row in ROWS if row.code in PARCELS]


@pytest.fixture
def fed(db) -> Connection:
    return connect(make_shop(), "7495000000000000001", "Fig & Fleece")


def test_every_button_is_one_of_these():
    assert POSTS.keys() | LINKS.keys() | OUTSIDE.keys() == ACTIONS
    assert {row.action for row in ROWS} == ACTIONS


@pytest.mark.parametrize(("row", "of"), CASES, ids=[f"{of}: {row.code}" for row, of in CASES])
def test_the_button_that_a_reason_names_is_on_the_page_and_does_something(fed, row: Reason, of: str):
    order = plant(fed, "577000000000000123", *([OrderState.FINALIZED] if of == "parcel" else []))
    if of == "parcel":
        facts = {"number": "1Z410E7W0392751591", "company": "UPS", "fulfillment_gid": "gid://f/1"}
        Parcel.objects.create(shop=order.shop, order=order, reason=row.code, **facts)
    else:
        type(order).objects.filter(pk=order.pk).update(reason=row.code)
    visitor = Visitor(order.shop.domain)
    page = visitor.open(f"/orders/{order.pk}").content.decode()
    found = re.search((POSTS | LINKS | OUTSIDE)[row.action], page, re.DOTALL)
    assert found, f"no {row.action} on the page"
    if row.action in LINKS:
        assert visitor.open(found[1]).status_code == 200
    if row.action in POSTS:
        assert visitor.post(found[1]).status_code == 204
        assert order.log.filter(what="chose", by="42").count() == 1
