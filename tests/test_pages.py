"""The embedded pages: who may see them, what frames them, what the list of orders shows."""

import json
import re
import time
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from connector.models import Connection, Order, Parcel
from connector.states import OrderState, ParcelState
from shopify_app.models import Shop
from shopify_app.sandbox import ShopifySandbox
from tests.planting import PLACED, connect, plant
from tests.shopify_script import DOMAIN, make_shop
from tests.visits import Visitor, session_token

OTHER = "other-store.myshopify.com"


@pytest.fixture
def shop(db):
    return make_shop(timezone="America/New_York", currency="USD")


@pytest.fixture
def connection(shop):
    return connect(shop, "7495000000000000001", "Fig & Fleece")


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


def text(response):
    """What a reader sees: no tags, one space between words."""
    words = re.sub(r"<(script|title)[^>]*>.*?</\1>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return " ".join(words.split())


# ---- who may see them --------------------------------------------------------------------------------------------


def test_a_document_without_a_token_goes_to_the_patch_page_and_comes_back_without_the_old_token(db):
    response = Client().get("/connections", {"shop": DOMAIN, "host": "abc", "id_token": "stale"})
    assert response.status_code == 302
    assert response["Location"] == (
        f"/auth/session-token?shop={DOMAIN}&host=abc&shopify-reload=%2Fconnections%3Fshop%3D{DOMAIN}%26host%3Dabc"
    )
    assert "stale" not in response["Location"]


def test_the_patch_page_loads_app_bridge_first_and_may_be_framed_by_the_named_shop(db):
    response = Client().get("/auth/session-token", {"shopify-reload": "/connections", "shop": DOMAIN})
    assert re.search(r"<script[^>]*>", response.content.decode())[0].count("/cdn/app-bridge.js") == 1
    assert f"frame-ancestors https://{DOMAIN} " in response["Content-Security-Policy"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""),
        *(["//evil.example", "/"], ["/", "//evil.example"], ["/", "/orders"]),  # App Bridge takes the first
    ],
)
def test_the_patch_page_goes_nowhere_but_to_our_own_pages(db, elsewhere):
    response = Client().get("/auth/session-token", {"shopify-reload": elsewhere})
    assert response.status_code == 400


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {"Authorization": "Bearer nonsense"}])
def test_a_fetch_without_a_valid_token_is_told_to_come_again_with_a_fresh_one(db, headers):
    response = Client().get("/orders/rows", headers=headers)
    assert response.status_code == 401
    assert response["X-Shopify-Retry-Invalid-Session-Request"] == "1"


def test_a_token_in_the_address_never_vouches_for_a_change(connection, shop):
    order = plant(connection, "577000000000000001")
    token = session_token(shop.domain)
    response = Client().post(f"/orders/{order.pk}/look-again?id_token={token}")
    assert response.status_code == 401
    order.refresh_from_db()
    assert order.due_at is None


def test_an_expired_token_is_no_token(shop):
    stale = session_token(shop.domain, exp=int(time.time()) - 30)
    assert Client().get("/", {"id_token": stale}).status_code == 302
    assert Client().get("/", headers={"Authorization": f"Bearer {stale}"}).status_code == 401


def test_the_first_valid_token_installs_the_shop(db, settings):
    keys = {"api_key": settings.SHOPIFY_API_KEY, "api_secret": settings.SHOPIFY_API_SECRET}
    with ShopifySandbox(**keys, easy=True) as shopify:
        settings.SHOPIFY_SHOP_URL = shopify.shop_url
        domain = next(iter(shopify.shops))
        response = Client().get("/", {"id_token": shopify.id_token(domain)})
        assert response.status_code == 200
        shop = Shop.objects.get(domain=domain)
        assert shop.installed_at and shop.gid and not shop.missing_scopes()
        assert shopify.violations == []


def test_a_new_grant_lifts_the_pause_that_the_lost_one_caused(db, settings):
    keys = {"api_key": settings.SHOPIFY_API_KEY, "api_secret": settings.SHOPIFY_API_SECRET}
    with ShopifySandbox(**keys, easy=True) as shopify:
        settings.SHOPIFY_SHOP_URL = shopify.shop_url
        domain = next(iter(shopify.shops))
        connection = connect(make_shop(domain=domain, paused_reason="reopen"), "749", "Fig")
        connection.pause("shopify_access_lost")
        assert Client().get("/", {"id_token": shopify.id_token(domain)}).status_code == 200
    connection.refresh_from_db()
    assert connection.paused_reason == ""


def test_a_pause_is_lifted_also_when_the_request_that_brought_the_new_grant_died_of_it(db, settings):
    keys = {"api_key": settings.SHOPIFY_API_KEY, "api_secret": settings.SHOPIFY_API_SECRET}
    with ShopifySandbox(**keys, easy=True) as shopify:
        settings.SHOPIFY_SHOP_URL = shopify.shop_url
        domain = next(iter(shopify.shops))
        connection = connect(make_shop(domain=domain, paused_reason="reopen"), "749", "Fig")
        connection.pause("shopify_access_lost")
        shopify.faults.add("currentAppInstallation", "500")
        assert Client().get("/", {"id_token": shopify.id_token(domain)}).status_code == 503
        assert Client().get("/", {"id_token": shopify.id_token(domain)}).status_code == 200
    connection.refresh_from_db()
    assert connection.paused_reason == ""


@pytest.mark.parametrize("reason", ["shopify_access_lost", "uninstalled", "connection_paused"])
def test_a_pause_that_is_younger_than_the_grant_stands(connection, visitor, reason):
    connection.pause(reason)
    assert visitor.open("/").status_code == 200
    connection.refresh_from_db()
    assert connection.paused_reason == reason


def test_a_silent_shopify_at_installation_gives_a_page_that_says_so(db):
    response = Client().get("/", {"id_token": session_token("new-store.myshopify.com")})
    assert response.status_code == 503
    assert "Nothing was lost. Try again" in text(response)
    assert "frame-ancestors https://new-store.myshopify.com " in response["Content-Security-Policy"]


# ---- the frame ---------------------------------------------------------------------------------------------------


def test_only_the_shop_s_own_admin_may_frame_a_page_and_only_known_scripts_run(visitor, settings):
    response = visitor.open("/")
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy["frame-ancestors"] == f"https://{DOMAIN} http://127.0.0.1:9"
    nonce = re.fullmatch(r"'nonce-([\w-]+)' http://127\.0\.0\.1:9", policy["script-src"])[1]
    scripts = re.findall(r"<script[^>]*>", response.content.decode())
    assert len(scripts) == 4 and all(f'nonce="{nonce}"' in script for script in scripts)
    assert 'src="http://127.0.0.1:9/cdn/app-bridge.js"' in scripts[0] and "async" not in scripts[0]
    assert "</script>" in response.content.decode() and "onclick" not in response.content.decode()
    assert response["Link"].count("rel=preload; as=script") == 2
    assert response["Cache-Control"] == "no-store"
    assert "X-Frame-Options" not in response and not response.cookies


def test_every_answer_has_its_own_nonce(visitor):
    policies = {visitor.open("/")["Content-Security-Policy"] for _ in range(2)}
    assert len(policies) == 2


def test_an_address_that_does_not_exist_is_answered_in_the_frame(visitor):
    response = visitor.open("/orders/nowhere/at/all", shop=DOMAIN)
    assert response.status_code == 404
    assert "It may belong to another store" in text(response)
    assert f"frame-ancestors https://{DOMAIN} " in response["Content-Security-Policy"]


def test_a_failing_action_speaks_above_the_page_that_is_there(visitor):
    response = visitor.post("/orders/1/look-again")
    assert response.status_code == 404
    assert (response["HX-Retarget"], response["HX-Push-Url"]) == ("#trouble", "false")
    assert "<html" not in response.content.decode()


def test_a_bug_is_logged_and_answered_above_the_page(connection, visitor, caplog):
    Connection.objects.update(settings=["what no form of ours can write"])
    response = visitor.post(f"/connections/{connection.pk}/disconnect")
    assert (response.status_code, response["HX-Retarget"]) == (500, "#trouble")
    assert "It was reported and nothing was lost" in text(response)
    assert "embedded page failed" in caplog.text


def test_a_time_zone_that_nobody_knows_is_read_as_utc(connection, visitor):
    Shop.objects.update(timezone="../etc/passwd")
    plant(connection, "577000000000000123")
    assert "Nov 20, 18:30" in text(visitor.open("/orders"))


# ---- the list ----------------------------------------------------------------------------------------------------


def test_before_anything_is_connected_the_page_offers_a_plain_link_to_tiktok(visitor, settings):
    page = visitor.open("/").content.decode()
    link = re.search(r'<a class="consent" href="([^"]+)" target="_top">Connect a US TikTok Shop</a>', page)[1]
    assert link.startswith(f"{settings.TIKTOK_APPS['US']['consent_url']}?service_id=7000000000000000001")
    assert "outside the US" not in page


def test_every_registration_has_its_link(visitor, settings):
    us = settings.TIKTOK_APPS["US"]
    settings.TIKTOK_APPS = {
        "US": us,
        "ROW": us | {"consent_url": "https://services.tiktokshop.com/open/authorize"},
    }
    page = visitor.open("/").content.decode()
    assert 'href="https://services.tiktokshop.com/open/authorize?' in page
    assert "Connect a TikTok Shop outside the US" in page


def test_an_order_shows_its_state_both_ids_money_and_time_in_the_shop_s_zone(connection, visitor):
    plant(connection, "577000000000000123", OrderState.FINALIZED, order_name="#1001")
    response = visitor.open("/orders")
    page = text(response)
    assert "577000000000000123 #1001 To ship" in page
    assert "Nov 20, 13:30 1,234.50 USD" in page
    link = 'href="http://127.0.0.1:9/admin/store/tts-demo-store/orders/1577000000000000123" target="_top"'
    assert link in response.content.decode()


def test_an_order_on_hold_links_to_its_draft_and_says_until_when(connection, visitor):
    plant(connection, "577000000000000123", release_at=PLACED + timedelta(hours=1))
    response = visitor.open("/orders")
    assert "Draft #D123 On hold TikTok holds it until about Nov 20, 14:30" in text(response)
    assert "/store/tts-demo-store/draft_orders/2577000000000000123" in response.content.decode()


def test_what_waits_for_a_person_says_what_and_what_to_do(connection, visitor):
    plant(
        connection,
        "577000000000000123",
        reason="amounts_mismatch",
        detail={"stated": "10.00", "added_up": "9.50", "what": "lines", "currency": "USD"},
    )
    page = text(visitor.open("/orders", show="attention"))
    assert "Needs attention TikTok&#x27;s amounts do not add up" in page
    assert "TikTok states 10.00 USD, the lines add up to 9.50 USD." in page
    assert "Compare the order in TikTok Seller Center and look again." in page


def test_a_parcel_shows_its_number_carrier_and_what_is_wrong_with_it(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED)
    parcel = Parcel.objects.create(
        shop=order.shop,
        order=order,
        fulfillment_gid="gid://shopify/Fulfillment/1",
        number="9400100000000000000001",
        provider_name="USPS",
        reason="number_invalid",
    )
    response = visitor.open("/orders", show="attention")
    assert "9400100000000000000001 USPS Waiting" in text(response)
    assert "The tracking number is not valid" in text(response)
    page = visitor.open(f"/orders/{order.pk}").content.decode()
    assert f'hx-post="/parcels/{parcel.pk}/send-anyway"' in page


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        ("all", "RECEIVED ON_HOLD FINALIZED SHIPPED CANCELLED SKIPPED ASKING"),
        ("hold", "RECEIVED ON_HOLD ASKING"),
        ("ship", "FINALIZED"),
        ("attention", "ASKING"),
        ("shipped", "SHIPPED"),
        ("cancelled", "CANCELLED"),
        ("kept-out", "SKIPPED"),
    ],
)
def test_each_filter_shows_its_own_orders(connection, visitor, show, expected):
    states = ["RECEIVED", "ON_HOLD", "FINALIZED", "SHIPPED", "CANCELLED", "SKIPPED", "ASKING"]
    ids = {f"5770000000000000{i:02}": name for i, name in enumerate(states)}
    for tiktok_id, name in ids.items():
        if name == "ASKING":
            plant(connection, tiktok_id, reason="unexpected")
        else:
            reason = "tiktok_ships" if name == "SKIPPED" else ""
            plant(connection, tiktok_id, OrderState[name], reason=reason)
    page = visitor.open("/orders", show=show).content.decode()
    assert {ids[found] for found in re.findall(r"5770000000000000\d\d(?=</span>)", page)} == set(
        expected.split()
    )


@pytest.mark.parametrize("number", ["577000000000000123", "#1001", "1001", " 1001 ", "#D7", "D7"])
def test_an_order_is_found_by_either_side_s_number(connection, visitor, number):
    plant(connection, "577000000000000123", OrderState.FINALIZED, order_name="#1001", draft_name="#D7")
    plant(connection, "577000000000000999", OrderState.FINALIZED, order_name="#1002", draft_name="#D8")
    page = text(visitor.open("/orders", find=number))
    assert "577000000000000123" in page and "577000000000000999" not in page


def test_a_number_that_nobody_knows_is_answered_with_a_sentence(connection, visitor):
    page = visitor.open("/orders", find="<b>42</b>").content.decode()
    assert "No order has the number or SKU &lt;b&gt;42&lt;/b&gt;." in page


def test_paging_meets_every_order_once_newest_first(connection, visitor):
    for i in range(120):
        placed = None if i >= 117 else PLACED - timedelta(minutes=i // 3)  # several at the same minute
        plant(connection, f"577000000000000{i:03}", OrderState.CANCELLED, placed_at=placed)
    found, query = [], {}
    while query is not None:
        page = visitor.open("/orders", **query).content.decode()
        found.append(re.findall(r"577000000000000\d\d\d(?=</span>)", page))
        after = re.search(r"after=([^\"]+)\">Older orders", page)
        query = {"after": re.sub("%3A", ":", after[1]).replace("%2B", "+")} if after else None
    ids = [tiktok_id for page in found for tiktok_id in page]
    assert [len(page) for page in found] == [50, 50, 20]
    assert sorted(ids) == [f"577000000000000{i:03}" for i in range(120)]
    assert ids[:3] == ["577000000000000119", "577000000000000118", "577000000000000117"]


@pytest.mark.parametrize("after", ["nonsense", "_", "2026-13-01_5", "2026-11-20_", "x" * 500])
def test_a_broken_cursor_shows_the_first_page(connection, visitor, after):
    plant(connection, "577000000000000123")
    assert "577000000000000123" in text(visitor.open("/orders", after=after))


def test_the_list_stays_still_until_something_changed(connection, visitor):
    order = plant(connection, "577000000000000123")
    page = visitor.open("/orders", show="hold").content.decode()
    address = re.search(r'id="rows" hx-get="([^"]+)" hx-trigger="every 2s"', page)[1].replace("&amp;", "&")
    assert visitor.fetch(address).status_code == 204
    Order.objects.filter(pk=order.pk).update(draft_name="#D9")
    changed = visitor.fetch(address)
    assert "Draft #D9" in text(changed)
    assert "hx-swap-oob" not in changed.content.decode()
    Connection.objects.update(paused_reason="tiktok_access_lost")
    assert 'id="notices"' in visitor.fetch(address).content.decode()


def test_two_shops_never_see_or_touch_each_other_s_rows(connection, visitor):
    theirs = connect(make_shop(domain=OTHER), "7495000000000000002", "Harbor Goods")
    order = plant(theirs, "577000000000000777", OrderState.FINALIZED, order_name="#1001")
    parcel = Parcel.objects.create(shop=theirs.shop, order=order, fulfillment_gid="gid://1", number="1Z")
    assert "No order has the number or SKU 577000000000000777." in text(
        visitor.open("/orders", find="577000000000000777")
    )
    assert "577000000000000777" not in text(visitor.open("/orders"))
    for path in (
        f"/orders/{order.pk}/look-again",
        f"/orders/{order.pk}/import",
        f"/parcels/{parcel.pk}/send-anyway",
        f"/connections/{theirs.pk}/disconnect",
        f"/connections/{theirs.pk}/resume",
    ):
        assert visitor.post(path).status_code == 404
    order.refresh_from_db()
    theirs.refresh_from_db()
    assert order.due_at is None and theirs.active
    assert "Harbor" not in text(visitor.open("/connections"))


# ---- what a person does --------------------------------------------------------------------------------------------


def test_look_again_makes_the_order_and_its_waiting_parcels_due(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.FINALIZED)
    parcels = [
        Parcel.objects.create(shop=order.shop, order=order, fulfillment_gid="gid://1", number=n, state=state)
        for n, state in (("1Z1", ParcelState.WAITING), ("1Z2", ParcelState.ACCEPTED))
    ]
    response = visitor.post(f"/orders/{order.pk}/look-again")
    assert response.status_code == 204
    assert json.loads(response["HX-Trigger"]) == {
        "toast": {"words": "Looking at order 577000000000000123 now"}
    }
    order.refresh_from_db()
    assert order.due_at <= timezone.now()
    assert [Parcel.objects.get(pk=p.pk).due_at is not None for p in parcels] == [True, False]
    assert order.log.get().by == "42"


def test_an_order_kept_out_is_imported_when_a_person_says_so(connection, visitor):
    order = plant(connection, "577000000000000123", OrderState.OFFERED, reason="older_than_connection")
    page = visitor.open(f"/orders/{order.pk}").content.decode()
    assert f'hx-post="/orders/{order.pk}/import"' in page
    assert visitor.post(f"/orders/{order.pk}/import").status_code == 204
    order.refresh_from_db()
    assert order.chosen and order.due_at <= timezone.now()


def test_a_choice_that_does_not_exist_is_refused(connection, visitor):
    order = plant(connection, "577000000000000123")
    assert visitor.post(f"/orders/{order.pk}/delete").status_code == 404
    assert visitor.fetch(f"/orders/{order.pk}/look-again").status_code == 405


def test_a_lost_permission_is_a_banner_with_the_way_to_renew_it(connection, visitor):
    Connection.objects.update(paused_reason="tiktok_access_lost", paused_words="TikTok 105005: no scope")
    response = visitor.open("/orders")
    page = text(response)
    assert "TikTok 105005: no scope" in page and "Connect again (US shop)" in page
    assert "Fig &amp; Fleece: TikTok no longer lets us in" in response.content.decode()


def test_another_connector_holds_the_import_until_a_person_says_go_on(connection, visitor):
    Connection.objects.update(other_connector={"tag": "skuiq", "order": "#1007"})
    order = plant(connection, "577000000000000123", OrderState.RECEIVED, reason="other_connector")
    assert "Found: tag skuiq on #1007" in text(visitor.open("/orders"))
    response = visitor.post(f"/connections/{connection.pk}/resume")
    assert (response.status_code, response["Location"]) == (302, "/")
    connection.refresh_from_db()
    order.refresh_from_db()
    assert connection.other_connector_accepted_at and order.due_at <= timezone.now()
    assert "Found: tag" not in text(visitor.open("/orders"))


def test_older_orders_are_announced(connection, visitor):
    for i in range(2):
        plant(connection, f"57700000000000000{i}", OrderState.OFFERED, reason="older_than_connection")
    response = visitor.open("/orders")
    assert "2 older orders wait for your choice" in response.content.decode()


def test_disconnecting_asks_about_held_drafts_and_keeps_them(connection, visitor):
    order = plant(connection, "577000000000000123")
    asked = visitor.open(f"/connections/{connection.pk}/disconnect").content.decode()
    assert "1 draft order is on hold" in asked and "Delete from Shopify" in asked
    response = visitor.post(f"/connections/{connection.pk}/disconnect", drafts="keep")
    assert (response.status_code, response["Location"]) == (302, "/connections")
    connection.refresh_from_db()
    order.refresh_from_db()
    assert (connection.active, connection.settings["held_drafts"]) == (False, "keep")
    assert order.due_at is None
    assert "No TikTok shop is connected" in visitor.open("/orders").content.decode()


def test_disconnecting_can_delete_the_held_drafts(connection, visitor):
    order = plant(connection, "577000000000000123")
    visitor.post(f"/connections/{connection.pk}/disconnect", drafts="delete")
    connection.refresh_from_db()
    order.refresh_from_db()
    assert (connection.active, connection.settings["held_drafts"]) == (False, "delete")
    assert order.due_at <= timezone.now()


# ---- the templates -------------------------------------------------------------------------------------------------

TEMPLATES = Path(__file__).parent.parent / "templates" / "connector"
POLARIS = json.loads((Path(__file__).parent / "contract" / "polaris_elements.json").read_text())["elements"]
EVERYWHERE = re.compile(r"id|class|slot|aria-[a-z]+|role|hx-[a-z:-]+")


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag.startswith("s-"):
            self.found.append((tag, dict(attributes)))


def elements():
    for path in sorted(TEMPLATES.glob("*.html")):
        parser = Elements()
        parser.feed(re.sub(r"\{%.*?%\}", "", path.read_text()))
        for tag, attributes in parser.found:
            yield path.name, tag, attributes


def test_the_templates_use_only_polaris_elements_and_attributes_that_exist():
    problems = []
    for name, tag, attributes in elements():
        known = POLARIS.get(tag)
        if known is None:
            problems.append(f"{name}: <{tag}> is not an element")
            continue
        for attribute, value in attributes.items():
            if EVERYWHERE.fullmatch(attribute):
                continue
            if attribute not in known:
                problems.append(f"{name}: <{tag}> has no attribute {attribute}")
            elif (
                isinstance(known[attribute], list)
                and value
                and "{{" not in value
                and value not in known[attribute]
            ):
                problems.append(f"{name}: <{tag} {attribute}> cannot be {value!r}")
    assert problems == []
    assert len({tag for _, tag, _ in elements()}) > 10


def test_no_template_writes_scripts_styles_or_handlers_inline():
    for path in TEMPLATES.glob("*.html"):
        source = path.read_text()
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|hx-on|javascript:", source), path.name
        assert all(" src=" in script for script in re.findall(r"<script[^>]*>", source)), path.name


def test_every_state_has_a_tone():
    from connector.templatetags.connector_words import TONES

    assert set(TONES) == {*OrderState, *ParcelState}
    assert set(TONES.values()) <= set(POLARIS["s-badge"]["tone"])
