"""Nothing of a buyer lies anywhere, and the scanner that says so (bench/chaos/privacy.py) finds what does."""

import json

import pytest
import redis
from django.apps import apps
from django.conf import settings
from django.db.models import CharField, JSONField, TextField
from django.urls import get_resolver

from bench.chaos import privacy
from connector.models import Connection, Order
from shopify_app.sandbox import DEMO_SHOP
from tests.test_decisions import UPS


@pytest.fixture
def scan(world, live_server, tmp_path):
    """Everywhere for everything that TikTok ever said of a buyer."""
    return lambda: privacy.find(world.tiktok.personal_values(), tmp_path, live_server.url, [DEMO_SHOP])


def lived(world) -> Order:
    """An order with all that happens to one, and a buyer who wrote and moved house."""
    order = world.finalized(buyer_message="Please ring twice, thank you so much")
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
    Connection.objects.update(settings={"note": f"for {name}"})
    Order.objects.filter(pk=order.pk).update(draft_name=street, last_error=name)
    (tmp_path / "worker1.log").write_text(json.dumps({"event": f"call failed for {buyer.email}"}))
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.rpush("a-list", buyer.phone)
    places = {found.partition(":")[0] for found in scan()}
    assert {
        "table connector_connection.settings",
        "table connector_order.draft_name",
        "log worker1.log",
        "valkey b'a-list'",
        f"answer /orders/export of {DEMO_SHOP}",
        f"answer /help/diagnostics.json of {DEMO_SHOP}",
        f"answer /orders/{order.pk} of {DEMO_SHOP}",
        f"answer /settings of {DEMO_SHOP}",
    } <= places


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
