"""The settings of a connection: shown, checked beside the field, saved with a log, acted on."""

import json
import re

import pytest

from connector.models import CarrierLink, Connection, ConnectionLog, Parcel, SkuLink
from connector.policy import Policy
from connector.states import OrderState
from shopify_app.models import Shop
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor, text

PROVIDERS = [{"id": "7117858858072016686", "name": "USPS"}, {"id": "7117859084333745966", "name": "UPS"}]
GOOD = {
    "delay_minutes": "0",
    "reserve_margin_hours": "2",
    "money_mode": "seller_earns",
    "unmatched": "ask",
    "cancellation": "cancel",
    "shipping_title": "TikTok Shop shipping",
}


@pytest.fixture
def connection(db):
    connection = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    Connection.objects.filter(pk=connection.pk).update(providers=PROVIDERS)
    connection.refresh_from_db()
    return connection


@pytest.fixture
def visitor(connection):
    return Visitor(connection.shop.domain)


def policy_of(connection):
    connection.refresh_from_db()
    return connection.policy


def save(visitor, connection, **changes):
    return visitor.post("/settings", connection=connection.pk, **(GOOD | changes))


def test_the_page_shows_what_is_set(connection, visitor):
    Connection.objects.update(settings={"extra_tags": ["social", "tt"], "delay_seconds": 1800})
    page = visitor.open("/settings").content.decode()
    assert 'value="social, tt"' in page and 'name="delay_minutes"' in page and 'value="30"' in page
    assert "data-save-bar" in page and "never put on an order" in page
    assert "Events are kept 30 days, orders and their history 548 days." in page


def test_what_is_saved_is_what_the_rows_of_work_read(connection, visitor):
    response = save(
        visitor,
        connection,
        delay_minutes="45",
        reserve_margin_hours="1.5",
        money_mode="buyer_paid",
        tax_line="on",
        unmatched="custom_line",
        skip_kinds=["sample", "gift"],
        cancellation="ask",
        shipping_title="Seller shipping",
        extra_tags="Social,  two  words , social media",
        note="Pack nicely",
        other_connector_tags="rival",
        fallback_provider=PROVIDERS[0]["id"],
    )
    assert json.loads(response["HX-Trigger"]) == {"toast": {"words": "Settings saved"}}
    assert policy_of(connection) == Policy(
        delay_seconds=2700,
        reserve_margin_seconds=5400,
        money_mode="buyer_paid",
        tax_line=True,
        unmatched="custom_line",
        skip_kinds=("sample", "gift"),
        cancel_in_shopify=False,
        shipping_title="Seller shipping",
        extra_tags=("Social", "two words", "social media"),
        note="Pack nicely",
        other_connector_tags=("rival",),
        fallback_provider=PROVIDERS[0]["id"],
    )


def test_saving_nothing_new_changes_and_logs_nothing(connection, visitor):
    assert save(visitor, connection).status_code == 200
    assert policy_of(connection) == Policy()
    assert not ConnectionLog.objects.exists()


def test_what_the_page_does_not_show_is_kept(connection, visitor):
    Connection.objects.update(settings={"moved_to": "x.myshopify.com"})
    save(visitor, connection, note="Hello")
    connection.refresh_from_db()
    assert connection.settings == {"moved_to": "x.myshopify.com", "note": "Hello"}


def test_a_change_is_logged_with_who_and_both_values_and_shown(connection, visitor):
    save(visitor, connection, delay_minutes="10", extra_tags="a, b")
    entry = ConnectionLog.objects.get()
    assert (entry.by, entry.changes) == ("42", {"delay_seconds": [0, 600], "extra_tags": [[], ["a", "b"]]})
    page = visitor.open("/settings").content.decode()
    assert "More tags: nothing → a, b" in page and "user 42" in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("extra_tags", "x" * 41, "at most 40 characters"),
        ("extra_tags", "TikTok-On-Hold", "sets and reads itself"),
        ("extra_tags", "tts-577", "sets and reads itself"),
        ("extra_tags", "tiktok shop", "sets and reads itself"),
        ("extra_tags", "SKUIQ", "how another connector marks its orders"),
        ("extra_tags", ",".join(f"tag {i}" for i in range(21)), "At most 20 tags"),
        ("other_connector_tags", "TikTok Shop", "are on our own orders|is on our own orders"),
        ("reserve_margin_hours", "0", "More than 0"),
        ("reserve_margin_hours", "-1", "More than 0"),
        ("reserve_margin_hours", "500", "At most a week"),
        ("reserve_margin_hours", "soon", "Enter a number"),
        ("delay_minutes", "-1", "greater than or equal to 0"),
        ("delay_minutes", "9999", "less than or equal to 1440"),
        ("delay_minutes", "", "required"),
        ("money_mode", "free", "Select a valid choice"),
        ("shipping_title", " ", "required"),
        ("note", "x" * 501, "at most 500 characters"),
        ("fallback_provider", "42", "does not list this carrier"),
        ("alert_email", "not an address", "valid email address"),
        ("payment_method", "TikTok Shop", "has not given the permission"),
        ("skip_kinds", ["fun"], "Select a valid choice"),
    ],
)
def test_what_does_not_fit_is_refused_beside_its_field_and_nothing_is_saved(
    connection, visitor, field, value, words
):
    page = save(visitor, connection, **({"note": "new"} | {field: value})).content.decode()
    tag = page.split(f'name="{field}"')[1].split(">")[0]
    error = tag.split('error="')[1].split('"')[0]
    assert any(word in error for word in words.split("|")), error
    assert policy_of(connection) == Policy()
    assert "Nothing was changed" in page


def test_our_own_tag_cannot_be_another_connectors_mark(connection, visitor):
    page = save(visitor, connection, extra_tags="Social", other_connector_tags="social").content.decode()
    assert "would look like another connector" in page
    assert policy_of(connection) == Policy()


def test_what_waited_for_a_setting_goes_on(connection, visitor):
    unlinked = plant(connection, "577000000000000001", OrderState.RECEIVED, reason="sku_unmapped")
    shipped = plant(connection, "577000000000000002", OrderState.FINALIZED)
    parcel = Parcel.objects.create(
        shop=shipped.shop, order=shipped, fulfillment_gid="gid://1", number="1Z", reason="carrier_unknown"
    )
    save(visitor, connection, note="nothing to do with them")
    unlinked.refresh_from_db()
    assert unlinked.due_at is None
    save(visitor, connection, unmatched="custom_line", fallback_provider=PROVIDERS[1]["id"])
    unlinked.refresh_from_db()
    parcel.refresh_from_db()
    assert unlinked.due_at and parcel.due_at


def test_the_payment_method_needs_a_permission_and_says_how_to_give_it(connection, visitor):
    page = visitor.open("/settings").content.decode()
    assert 'data-scope="write_payment_terms"' in page
    Shop.objects.update(scopes=f"{connection.shop.scopes},write_payment_terms")
    assert "data-scope" not in visitor.open("/settings").content.decode()
    save(visitor, connection, payment_method=" TikTok  Shop ")
    assert policy_of(connection).payment_method == "TikTok Shop"


def test_pausing_and_resuming_is_logged_and_wakes_what_waited(connection, visitor):
    order = plant(connection, "577000000000000001", last_error="connection_paused")
    assert visitor.post(f"/connections/{connection.pk}/pause").status_code == 302
    connection.refresh_from_db()
    assert connection.paused_reason == "connection_paused"
    assert "Paused by hand" in visitor.open("/settings").content.decode()
    visitor.post(f"/connections/{connection.pk}/unpause")
    connection.refresh_from_db()
    order.refresh_from_db()
    assert connection.paused_reason == "" and order.due_at
    assert [entry.changes for entry in connection.log.order_by("at")] == [
        {"paused": [False, True]},
        {"paused": [True, False]},
    ]


@pytest.mark.parametrize("path", ["/", "/orders", "/connections"])
def test_a_pause_by_hand_is_lifted_where_it_is_told_by_the_button_of_that_name(connection, visitor, path):
    visitor.post(f"/connections/{connection.pk}/pause")
    page = visitor.open(path).content.decode()
    form = re.search(r'<form action="([^"]+)" method="post"><s-button [^>]*>Resume</s-button></form>', page)
    assert "Try again" not in page
    visitor.post(form[1])
    connection.refresh_from_db()
    assert connection.paused_reason == ""
    assert logged(connection)[-1] == ("42", {"paused": [True, False]})


@pytest.mark.parametrize("path", ["/", "/orders", "/connections"])
def test_what_a_platform_paused_is_tried_again_where_it_is_told(connection, visitor, path):
    Connection.objects.update(paused_reason="shopify_access_lost")
    page = visitor.open(path).content.decode()
    visitor.post(re.search(r'<s-button [^>]*hx-post="([^"]+)"[^>]*>Try again</s-button>', page)[1])
    assert Connection.objects.get().paused_reason == ""
    assert logged(connection) == [("42", {"paused": [True, False]})]


@pytest.mark.parametrize("path", ["/", "/orders", "/connections"])
def test_a_lost_permission_has_the_way_to_renew_it_where_it_is_told(connection, visitor, path):
    Connection.objects.update(paused_reason="tiktok_access_lost")
    assert "Connect again (US shop)" in text(visitor.open(path))


def test_saying_that_the_other_app_is_off_lifts_no_pause_by_hand(connection, visitor):
    Connection.objects.update(other_connector={"tag": "skuiq", "order": "#1007"})
    visitor.post(f"/connections/{connection.pk}/pause")
    visitor.post(f"/connections/{connection.pk}/resume")
    connection.refresh_from_db()
    assert connection.paused_reason == "connection_paused" and connection.other_connector_accepted_at
    assert logged(connection)[-1] == ("42", {"other_connector_accepted": [False, True]})


def logged(connection) -> list[tuple[str, dict]]:
    return [(entry.by, entry.changes) for entry in connection.log.order_by("at")]


def test_what_a_person_said_of_carriers_and_products_is_logged_in_words(connection, visitor):
    sku = SkuLink.objects.create(
        connection=connection,
        sku_id="1729",
        seller_sku="LINEN-TEE",
        variant_gid="gid://1",
        variant_title="Tee",
    )
    usps, ups = PROVIDERS
    for provider in (ups["id"], usps["id"], ""):
        visitor.post("/carriers/link", connection=connection.pk, company="Bob's Bikes", provider=provider)
    for _twice in range(2):
        visitor.post(f"/products/{sku.pk}/unlink")
    assert not CarrierLink.objects.exists()
    assert logged(connection) == [
        ("42", {"carrier bobsbikes": ["", "UPS"]}),
        ("42", {"carrier bobsbikes": ["UPS", "USPS"]}),
        ("42", {"carrier bobsbikes": ["USPS", ""]}),
        ("42", {"product LINEN-TEE": ["Tee", ""]}),
    ]
    said = text(visitor.open("/settings"))
    assert "Carrier bobsbikes: UPS → USPS" in said and "Product LINEN-TEE: Tee → nothing" in said


def test_disconnecting_is_logged_with_what_became_of_the_drafts(connection, visitor):
    visitor.post(f"/connections/{connection.pk}/disconnect", drafts="delete")
    assert logged(connection) == [("42", {"connected": [True, False], "held_drafts": ["", "delete"]})]


def test_a_lost_permission_is_not_resumed_by_a_button(connection, visitor):
    Connection.objects.update(paused_reason="tiktok_access_lost")
    assert visitor.post(f"/connections/{connection.pk}/unpause").status_code == 404
    assert Connection.objects.get().paused_reason == "tiktok_access_lost"


def test_each_tiktok_shop_has_settings_of_its_own(connection, visitor):
    second = connect(connection.shop, "7495000000000000009", "Harbor Goods")
    page = visitor.open("/settings", connection=second.pk).content.decode()
    assert "Fig &amp; Fleece" in page and f'name="connection" value="{second.pk}"' in page
    save(visitor, second, note="Only here")
    assert policy_of(second).note == "Only here" and policy_of(connection).note == ""


def test_another_store_s_settings_are_neither_shown_nor_changed(connection, visitor):
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    assert visitor.open("/settings", connection=theirs.pk).status_code == 404
    assert visitor.open("/settings", connection="x").status_code == 404
    assert save(visitor, theirs, note="mine now").status_code == 404
    for action in ("pause", "unpause"):
        assert visitor.post(f"/connections/{theirs.pk}/{action}").status_code == 404
    assert policy_of(theirs) == Policy() and not theirs.paused_reason
    assert "Harbor" not in visitor.open("/settings").content.decode()


def test_without_a_connection_the_way_leads_to_connecting(db):
    shop = make_shop()
    assert Visitor(shop.domain).open("/settings")["Location"] == "/connections"
