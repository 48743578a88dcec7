"""Nothing of a buyer lies anywhere, and the scanner that says so (bench/chaos/privacy.py) finds what does."""

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
import redis
from django.apps import apps
from django.conf import settings
from django.db.models import CharField, JSONField, TextField
from django.urls import get_resolver
from django.utils.html import escape

from bench.chaos import privacy
from connector.models import Connection, Order
from shopify_app.sandbox import DEMO_SHOP
from tests.test_decisions import UPS


@pytest.fixture
def scan(world, live_server, tmp_path):
    """Everywhere for everything that TikTok ever said of a buyer."""
    return lambda: privacy.find(world.tiktok.personal_values(), tmp_path, live_server.url, [DEMO_SHOP])


ZOE = {"first_name": "Zoë", "last_name": "O'Hara & Söhne"}  # spelled in another way by every format
NAME = "Zoë O'Hara & Söhne"


def lived(world) -> Order:
    """An order with all that happens to one, and a buyer who wrote and moved house."""
    order = world.finalized(buyer=ZOE, buyer_message="Please ring twice, thank you so much")
    world.tiktok.change_address(order.tiktok_id)
    world.settle()
    world.store.fulfill(order.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.placed()
    return world.order(order.tiktok_id)


def test_the_whole_life_of_an_order_leaves_nothing_of_its_buyer_anywhere(world, scan):
    order = lived(world)
    assert world.store.orders[order.order_gid].shipping_address  # it did pass through us
    values = world.tiktok.personal_values()
    assert "Please ring twice, thank you so much" in values and len(values) > 15
    assert scan() == []


def test_a_name_in_any_kind_of_place_is_found_there(world, scan, tmp_path):
    order = lived(world)
    buyer = world.tiktok.orders[order.tiktok_id].buyer
    street, name = buyer.address_line1, buyer.name
    assert name == NAME
    Connection.objects.update(settings={"note": f"for {name}"})
    Order.objects.filter(pk=order.pk).update(draft_name=street, last_error=name)
    (tmp_path / "worker1.log").write_text(json.dumps({"event": f"call failed for {buyer.email}"}))
    (tmp_path / "web.log").write_text(json.dumps({"event": f"GET /orders?find={quote_plus(name)}"}))
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.rpush("a-list", buyer.phone)
        valkey.set(f"of {name}", 1)
    places = {found.partition(":")[0] for found in scan()}
    assert {
        "table connector_connection.settings",
        "table connector_order.draft_name",
        "log worker1.log",
        "log web.log",
        "valkey b'a-list'",
        f"valkey {f'of {name}'.encode()!r}",
        f"answer /orders/export of {DEMO_SHOP}",
        f"answer /help/diagnostics.json of {DEMO_SHOP}",
        f"answer /orders/{order.pk} of {DEMO_SHOP}",
        f"answer /settings of {DEMO_SHOP}",
    } <= places


SPELLINGS = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda name: json.dumps(json.dumps({"name": name})),
    "JSON with its letters": lambda name: json.dumps(name, ensure_ascii=False),
    "HTML by Django": escape,
    "HTML by numbers": lambda name: "".join(f"&#{ord(letter)};" for letter in name),
    "HTML by names": lambda name: name.replace("&", "&amp;").replace("ë", "&euml;").replace("ö", "&ouml;"),
    "HTML in HTML": lambda name: escape(str(escape(name))),
    "an address": quote,
    "a form": quote_plus,
    "an address in an address": lambda name: quote(f"/orders?find={quote(name)}", safe=""),
    "a form in JSON": lambda name: json.dumps({"query": urlencode({"find": name})}),
    "bytes": lambda name: repr(name.encode()),
    "bytes in JSON": lambda name: json.dumps(repr(name.encode())),
    "ASCII": ascii,
    "octal": lambda name: "".join(f"\\{byte:03o}" if byte > 127 else chr(byte) for byte in name.encode()),
    "a column of bytes": lambda name: f"\\x{name.encode().hex()}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_name_is_found_however_it_is_spelled(spelling):
    spelled = SPELLINGS[spelling](NAME)
    assert privacy.hits({NAME}, f"one line\nbefore {spelled} after\n") == {NAME}


@pytest.mark.parametrize("other", ["Zoë O'Hara & Co", "Zoe O'Hara & Sohne", "Zo%C3%AB", "&amp;&#x27;", ""])
def test_what_is_not_the_name_is_not_found(other):
    assert privacy.hits({NAME}, f"before {other} after") == set()


def test_the_sandbox_invents_buyers_whose_names_have_other_spellings(world):
    names = {world.tiktok.order(world.tiktok.place_order()).buyer.name for _ in range(40)}
    assert any(not name.isascii() for name in names)
    assert any(escape(name) != name for name in names)
    assert any(name.isascii() and escape(name) == name for name in names)


def test_a_street_that_a_buyer_has_left_is_looked_for_as_well(world, scan):
    order = world.placed()
    world.tiktok.change_address(order.tiktok_id)
    world.settle()
    [former] = world.tiktok.world.former_buyers
    assert former.address_line1 != world.tiktok.orders[order.tiktok_id].buyer.address_line1
    Order.objects.filter(pk=order.pk).update(draft_name=former.address_line1)
    assert any("connector_order.draft_name" in place for place in scan())


def test_the_scan_reads_every_text_of_every_table_and_every_file_that_we_give_out(
    world, live_server, tmp_path
):
    read = {place for place, _ in privacy.places(tmp_path, live_server.url, [DEMO_SHOP])}
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, CharField | TextField | JSONField):
                assert f"table {model._meta.db_table}.{field.column}" in read
    routes = {str(route.pattern) for route in get_resolver().url_patterns}
    files = {
        path
        for path in routes
        if "export" in path or path.endswith(".json") or path in ("metrics", "statusz")
    }
    assert len(files) == 5
    for path in files:
        assert any(place.startswith(f"answer /{path}") for place in read), path
