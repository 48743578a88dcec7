"""Every address of the app, called by nobody, by another shop and by its own. A new route is walked by itself."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from connector.views import older, order, orders, parcels
from shopify_app.models import Shop
from tests.planting import connect, plant_one_of_each
from tests.shopify_script import DOMAIN, make_shop
from tests.visits import Visitor, session_token

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "other-store.myshopify.com"
# Addresses that no session token guards: signed bodies, TikTok's return, the way to a token, and what machines ask.
OPEN = {
    "webhooks/shopify",
    "webhooks/tiktok",
    "tiktok/callback",
    "auth/session-token",
    "healthz",
    "readyz",
    "statusz",
    "metrics",
}
AGAIN = re.compile(r'<a class="consent" href="[^"]*">Try again</a>')
SECRETS = ("Fig and Fleece", "577000000000000123", "#1123", "1Z999", "LINEN-TEE", "TICKETOFTHEFIRST")


def guarded() -> list[URLPattern]:
    return [route for route in get_resolver().url_patterns if str(route.pattern) not in OPEN]


def addresses(route: URLPattern, planted: dict[str, Any]) -> Iterator[str]:
    """The route with the planted rows' keys, once for each word that it takes. KeyError: nobody planted such a row."""
    words = {
        "choose": {"choice": order.SAID},
        "choose-parcel": {"choice": parcels.CHOICES},
        "choose-many": {"choice": orders.MANY},
        "decide-older": {"do": older.CHOICES},
        "fold-guide": {"what": ["close", "open"]},
        "comparison": {"of": [timezone.localdate().isoformat()]},
        "compare": {"of": [timezone.localdate().isoformat()]},
    }.get(route.name, {})
    names = list(route.pattern.converters)
    for values in product(*(words[name] if name in words else [planted[name].pk] for name in names)):
        yield reverse(route.name, kwargs=dict(zip(names, values, strict=True)))


@pytest.fixture
def planted(transactional_db: None) -> dict[str, Any]:
    return plant_one_of_each(make_shop(name="First"))


@pytest.fixture
def other(transactional_db: None) -> Shop:
    """Another shop, with a connection of its own, so that its pages have something to show."""
    shop = make_shop(domain=OTHER)
    connect(shop, "7495000000000000002", "Harbor Goods")
    return shop


def in_forms(planted: dict[str, Any]) -> dict[str, Any]:
    """The first shop's keys in every field that some form or address of ours reads."""
    return {
        "connection": planted["connection_id"].pk,
        "order": [planted["order_id"].pk, planted["older"].pk],
        "sku": planted["sku_key"].sku_id,
        "ticket": planted["consent"].ticket,
        "connect": planted["connection_id"].tiktok_shop.shop_id,
        "move": planted["connection_id"].tiktok_shop.shop_id,
        "find": planted["order_id"].tiktok_id,
        "shop": DOMAIN,
    }


def rows() -> dict[tuple[str, Any], dict[str, Any]]:
    """Every row of every table of ours."""
    return {
        (model.__name__, row["pk"]): row
        for app in ("tiktok", "shopify_app", "connector")
        for model in apps.get_app_config(app).get_models()
        for row in model.objects.values("pk", *(field.attname for field in model._meta.concrete_fields))
    }


def body(response: Any) -> str:
    return response.getvalue().decode() if response.streaming else response.content.decode()


def test_no_route_is_without_a_name_and_every_open_one_is_known():
    paths = {str(route.pattern) for route in get_resolver().url_patterns}
    assert paths >= OPEN
    assert all(route.name for route in guarded())
    assert len(guarded()) > 30


def test_nobody_gets_anything_from_any_address_and_changes_nothing(planted):
    before = rows()
    foreign = session_token(DOMAIN, aud="another-app")
    for route in guarded():
        for address in addresses(route, planted):
            for headers in ({"HX-Request": "true"}, {"Authorization": f"Bearer {foreign}"}):
                for call in (Client().get, Client().post):
                    answer = call(address, in_forms(planted), headers=headers)
                    assert answer.status_code in (401, 405), address
                    assert body(answer) == "" and not answer.cookies
            document = Client().get(address, {"shop": DOMAIN, "id_token": foreign})
            assert document.status_code in (302, 405), address
            assert document.status_code == 405 or document["Location"].startswith("/auth/session-token?")
            posted = Client().post(f"{address}?id_token={session_token(DOMAIN)}", in_forms(planted))
            assert posted.status_code in (401, 405), f"{address}: a token in an address vouched for a change"
    assert rows() == before


def test_another_shop_gets_nothing_of_the_first_from_any_address_and_changes_nothing(planted, other):
    before = rows()
    visitor = Visitor(OTHER)
    for route in guarded():
        for address in addresses(route, planted):
            for call in (visitor.open, visitor.fetch, visitor.post):
                answer = call(address, **in_forms(planted))
                if {"connection_id", "order_id", "parcel_id", "sku_key"} & route.pattern.converters.keys():
                    assert answer.status_code in (404, 405), address
                assert answer.status_code != 500, address
                # what was typed is shown again, and stands in the address to try again
                echoed = AGAIN.sub("", body(answer)).replace(in_forms(planted)["find"], "")
                assert not any(secret in echoed for secret in SECRETS), f"{address}: {answer.status_code}"
    assert without(rows(), other) == without(before, other)


def without(found: dict[Any, dict[str, Any]], shop: Shop) -> dict[Any, dict[str, Any]]:
    """The rows that the shop may not change."""
    return {
        key: row
        for key, row in found.items()
        if row.get("shop_id") != shop.pk and row.get("domain") != shop.domain
    }


def test_its_own_shop_gets_every_page_in_its_own_frame_without_cookies_and_without_inline_scripts(planted):
    seen = 0
    visitor = Visitor(DOMAIN)
    for route in guarded():
        for address in addresses(route, planted):
            answer = visitor.open(address)
            assert answer.status_code != 500, address
            assert not answer.cookies, address
            if answer.status_code == 405:
                continue
            policy = answer["Content-Security-Policy"]
            assert f"frame-ancestors https://{DOMAIN} http://127.0.0.1:9;" in f"{policy};", address
            assert "unsafe" not in policy and "object-src 'none'" in policy and "base-uri 'none'" in policy
            page = body(answer)
            assert not re.search(r"<[^>]+\son\w+=|<[^>]+\sstyle=|javascript:", page), address
            [nonce] = re.findall(r"'nonce-([^']+)'", policy)
            scripts = re.findall(r"<script[^>]*>", page)
            assert all(f'nonce="{nonce}"' in script and " src=" in script for script in scripts), address
            seen += bool(scripts)
    assert seen > 8


def test_nobody_opens_the_figures_without_their_token_and_no_page_of_the_queue_is_served(settings):
    for path in ("/statusz", "/metrics"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
            assert Client().get(path, headers=headers).status_code == 404
        right = {"Authorization": f"Bearer {settings.STATUS_TOKEN}"}
        assert Client().get(path, headers=right).status_code == 200
        settings.STATUS_TOKEN, kept = "", settings.STATUS_TOKEN
        assert Client().get(path, headers={"Authorization": "Bearer "}).status_code == 404
        settings.STATUS_TOKEN = kept
    assert Client().get("/healthz").content == Client().get("/readyz").content == b"ok"
    for path in ("/django-rq/", "/rq/", "/admin/", "/admin/login/"):
        assert Client().get(path).status_code == 404
