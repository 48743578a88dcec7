import threading
from datetime import timedelta

import pytest
import requests
from django.db import connection
from django.utils import timezone

from shopify_app.auth import InvalidToken
from shopify_app.errors import AccessLost, Rejected, Unavailable
from shopify_app.models import Shop
from tests.shopify_script import DOMAIN, Answer, ScriptedShopify, example, make_shop, opened

pytestmark = pytest.mark.django_db

SOON = timedelta(minutes=9)
PAST = timedelta(minutes=-1)
INSTALLATION = {
    "data": {
        "currentAppInstallation": {
            "accessScopes": [
                {"handle": scope}
                for scope in ("read_products", "write_draft_orders", "write_orders", "read_fulfillments")
            ]
        },
        "shop": {
            "id": "gid://shopify/Shop/91000000001",
            "name": "Demo",
            "myshopifyDomain": DOMAIN,
            "currencyCode": "USD",
            "enabledPresentmentCurrencies": ["USD", "GBP"],
            "ianaTimezone": "America/Chicago",
            "plan": {"publicDisplayName": "Basic", "partnerDevelopment": True},
        },
    }
}


@pytest.fixture
def shopify(settings):
    with ScriptedShopify() as scripted:
        settings.SHOPIFY_SHOP_URL = scripted.url + "/{shop}"
        yield scripted


@pytest.fixture
def http():
    with requests.Session() as session:
        yield session


def grant(number):
    return {
        "access_token": f"shpat_{number}",
        "scope": "read_products,write_draft_orders,write_orders,read_fulfillments",
        "expires_in": 3600,
        "refresh_token": f"shprt_{number}",
        "refresh_token_expires_in": 7776000,
    }


# Installation


def test_the_first_valid_token_installs_the_shop(shopify, http, settings):
    shopify.says(example("token_exchange_response_offline_expiring"), INSTALLATION)
    shop = Shop.install(DOMAIN, "a.session.token", http)
    asked = example("token_exchange_request") | {
        "client_id": settings.SHOPIFY_API_KEY,
        "client_secret": settings.SHOPIFY_API_SECRET,
        "subject_token": "a.session.token",
    }
    assert shopify.requests[0].path == f"/{DOMAIN}/admin/oauth/access_token"
    assert shopify.requests[0].body == asked
    shop = Shop.objects.get(domain=DOMAIN)
    assert opened(shop.access_token) == "shpat_example_access_1"
    assert opened(shop.refresh_token) == "shprt_example_refresh_1"
    assert (shop.gid, shop.currency, shop.currencies) == (
        "gid://shopify/Shop/91000000001",
        "USD",
        ["USD", "GBP"],
    )
    assert (shop.plan, shop.timezone, shop.name) == ("Basic", "America/Chicago", "Demo")
    assert shop.installed_at is not None
    assert shop.missing_scopes() == ()


def test_tokens_are_never_stored_or_shown_as_they_are(shopify, http):
    shopify.says(grant(7), INSTALLATION)
    shop = Shop.install(DOMAIN, "a.session.token", http)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM shopify_app_shop")
        row = repr(cursor.fetchall())
    assert "shpat_7" not in row + repr(shop)
    assert "shprt_7" not in row + repr(shop)


def test_a_known_shop_with_a_good_grant_is_not_exchanged_again(shopify, http):
    make_shop()
    Shop.install(DOMAIN, "a.session.token", http)
    assert shopify.requests == []


@pytest.mark.parametrize(
    "stale",
    [
        {"refresh_token": ""},
        {"uninstalled_at": timezone.now()},
        {"paused_reason": "the merchant must open the app"},
        {"scopes": "read_products,write_draft_orders"},
        {"refresh_expires_at": timezone.now() - timedelta(days=1)},
    ],
    ids=lambda stale: next(iter(stale)),
)
def test_a_stale_or_short_grant_is_exchanged_when_the_merchant_opens_the_app(shopify, http, stale):
    make_shop(**stale)
    shopify.says(grant(2), INSTALLATION)
    shop = Shop.install(DOMAIN, "a.session.token", http)
    assert opened(shop.access_token) == "shpat_2"
    assert (shop.uninstalled_at, shop.paused_reason) == (None, "")


def test_a_refused_session_token_asks_the_page_for_a_fresh_one(shopify, http):
    shopify.says(Answer(example("token_error_invalid_subject_token"), status=400))
    with pytest.raises(InvalidToken):
        Shop.install(DOMAIN, "a.session.token", http)
    shopify.says(grant(1), INSTALLATION)
    assert Shop.install(DOMAIN, "another", http).gid


def test_an_installation_that_could_not_be_read_is_read_at_the_next_visit(shopify, http):
    shopify.says(grant(1), Answer({}, status=503))
    with pytest.raises(Unavailable):
        Shop.install(DOMAIN, "a.session.token", http)
    shopify.says(INSTALLATION)
    assert Shop.install(DOMAIN, "a.session.token", http).name == "Demo"


def test_a_token_that_never_expires_is_refused(shopify, http):
    shopify.says({"access_token": "shpat_1", "scope": "read_products"})
    with pytest.raises(Rejected, match="no_refresh_token"):
        Shop.install(DOMAIN, "a.session.token", http)


# Refresh


def test_a_living_token_is_used_as_it_is(shopify, http):
    assert make_shop().token(http) == "shpat_1"
    assert shopify.requests == []


def test_a_token_is_refreshed_ten_minutes_early_and_the_pair_is_replaced(shopify, http, settings):
    shop = make_shop(access_expires_at=timezone.now() + SOON)
    shopify.says(example("token_refresh_response"))
    assert shop.token(http) == "shpat_example_access_2"
    keys = {"client_id": settings.SHOPIFY_API_KEY, "client_secret": settings.SHOPIFY_API_SECRET}
    asked = example("token_refresh_request") | keys | {"refresh_token": "shprt_1"}
    assert shopify.requests[0].body == asked
    shop = Shop.objects.get()
    assert opened(shop.refresh_token) == "shprt_example_refresh_2"
    assert opened(shop.previous_refresh) == "shprt_1"
    assert shop.refreshing_until is None


@pytest.mark.parametrize("missing", ["expires_in", "refresh_token_expires_in", "scope"])
def test_a_refresh_answer_without_its_lives_gets_the_usual_ones(shopify, http, missing):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    shopify.says({name: value for name, value in grant(2).items() if name != missing})
    assert shop.token(http) == "shpat_2"
    assert shop.access_expires_at > timezone.now() + timedelta(minutes=59)
    assert shop.refresh_expires_at > timezone.now() + timedelta(days=89)
    assert shop.missing_scopes() == ()


def test_while_another_refreshes_the_old_token_serves(shopify, http):
    busy = timezone.now() + timedelta(seconds=20)
    shop = make_shop(access_expires_at=timezone.now() + SOON, refreshing_until=busy)
    assert shop.token(http) == "shpat_1"
    assert shopify.requests == []


def test_a_claim_that_ran_out_is_taken_over(shopify, http):
    lapsed = timezone.now() - timedelta(seconds=1)
    shop = make_shop(access_expires_at=timezone.now() + PAST, refreshing_until=lapsed)
    shopify.says(grant(2))
    assert shop.token(http) == "shpat_2"


@pytest.mark.django_db(transaction=True)
def test_many_workers_refresh_once_and_all_get_the_new_token(shopify):
    pk = make_shop(access_expires_at=timezone.now() + PAST).pk
    shopify.says(Answer(grant(2), delay=0.3))
    tokens = []

    def work():
        with requests.Session() as http:
            tokens.append(Shop.objects.get(pk=pk).token(http))
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert tokens == ["shpat_2"] * 5
    assert len(shopify.requests) == 1


def test_an_unavailable_refresh_leaves_the_old_token_in_use_while_it_lives(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + SOON)
    shopify.says(Answer({}, status=502))
    assert shop.token(http) == "shpat_1"
    assert shop.token(http) == "shpat_1"
    assert len(shopify.requests) == 1


def test_an_unavailable_refresh_of_a_dead_token_is_unavailable_and_can_be_tried_at_once(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    shopify.says(Answer(drop=True), grant(2))
    with pytest.raises(Unavailable):
        shop.token(http)
    assert shop.token(http) == "shpat_2"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, example("token_error_invalid_grant")),
        (
            401,
            {
                "error": "invalid_request",
                "error_description": "This request requires an active refresh_token",
            },
        ),
    ],
)
def test_a_dead_refresh_token_waits_for_the_merchant(shopify, http, status, body):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    shopify.says(Answer(body, status=status))
    with pytest.raises(AccessLost, match="the merchant must open the app"):
        shop.token(http)
    assert Shop.objects.get().paused_reason == "the merchant must open the app"
    with pytest.raises(AccessLost):
        Shop.objects.get().token(http)
    assert len(shopify.requests) == 1


def test_a_new_pair_that_does_not_work_falls_back_to_its_predecessor(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + PAST, previous_refresh="shprt_0")
    shopify.says(Answer(example("token_error_invalid_grant"), status=400), grant(2))
    assert shop.token(http) == "shpat_2"
    assert [request.body["refresh_token"] for request in shopify.requests] == ["shprt_1", "shprt_0"]
    assert Shop.objects.get().paused_reason == ""


def test_a_frozen_shop_is_not_taken_for_a_dead_token(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    shopify.says(Answer({}, status=402))
    with pytest.raises(AccessLost) as lost:
        shop.token(http)
    assert lost.value.retry_daily
    assert Shop.objects.get().paused_reason == ""


def test_a_wrong_client_secret_is_our_fault_and_not_the_merchants(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    shopify.says(Answer({"error": "invalid_client"}, status=401))
    with pytest.raises(Rejected) as refused:
        shop.token(http)
    assert not isinstance(refused.value, AccessLost)
    assert Shop.objects.get().paused_reason == ""


def test_no_secret_is_in_an_error_of_the_token_endpoint(shopify, http, settings):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    shopify.says(Answer({"error": "x", "error_description": "shprt_1"}, status=400))
    with pytest.raises(Rejected) as refused:
        shop.token(http)
    shown = refused.value.public + repr(refused.value)
    assert "shprt_1" not in shown
    assert settings.SHOPIFY_API_SECRET not in shown


def test_a_shop_at_rest_is_kept_alive(shopify, http):
    shop = make_shop(refresh_expires_at=timezone.now() + timedelta(days=29))
    assert list(Shop.objects.to_keep_alive()) == [shop]
    shopify.says(grant(2))
    shop.keep_alive(http)
    assert opened(Shop.objects.get().refresh_token) == "shprt_2"
    assert list(Shop.objects.to_keep_alive()) == []


def test_a_fresh_shop_needs_no_keeping_alive(shopify, http):
    shop = make_shop()
    assert list(Shop.objects.to_keep_alive()) == []
    shop.keep_alive(http)
    assert shopify.requests == []


# Uninstallation and scopes


def test_an_uninstalled_shop_has_no_tokens_and_makes_no_calls(shopify, http):
    shop = make_shop()
    assert shop.uninstall()
    shop = Shop.objects.get()
    assert (shop.access_token, shop.refresh_token, shop.previous_refresh) == ("", "", "")
    assert shop.uninstalled_at is not None
    with pytest.raises(AccessLost):
        shop.token(http)
    assert list(Shop.objects.connected()) == []
    assert shopify.requests == []


def test_an_uninstallation_told_after_the_reinstallation_changes_nothing(http):
    shop = make_shop()
    assert not shop.uninstall(at=shop.installed_at - timedelta(minutes=1))
    assert shop.token(http) == "shpat_1"


@pytest.mark.django_db(transaction=True)
def test_a_refresh_that_ends_after_an_uninstallation_brings_no_token_back(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + PAST)

    def uninstalled_meanwhile(_request):
        Shop.objects.get().uninstall()
        connection.close()
        return Answer(grant(2))

    shopify.says(uninstalled_meanwhile)
    with pytest.raises(AccessLost):
        shop.token(http)
    assert Shop.objects.get().access_token == ""


def test_scopes_are_compared_as_shopify_does():
    shop = make_shop(scopes="write_products,write_draft_orders")
    assert shop.missing_scopes() == ("write_orders", "read_fulfillments")
    shop.scopes = "read_products,write_draft_orders,write_orders,read_fulfillments"
    assert shop.missing_scopes() == ()


def test_whoever_works_for_a_shop_that_was_just_redacted_has_lost_access(shopify, http):
    shop = make_shop(access_expires_at=timezone.now() + PAST)
    Shop.objects.filter(pk=shop.pk).delete()
    with pytest.raises(AccessLost, match="deleted"):
        shop.token(http)
