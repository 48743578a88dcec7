"""The file of a long list is written as it is read: by a cursor of the server's, a thousand orders at a time."""

import gc

from django.db import connection as database

from connector import export, sku_file
from connector.models import Order, OrderLine, SkuLink
from connector.states import OrderState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_proof import multiply
from tests.visits import Visitor

MANY = 3 * export.AT_ONCE


def living(model) -> int:
    gc.collect()
    return sum(type(thing) is model for thing in gc.get_objects())  # isinstance would wake lazy objects


def cursors() -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors WHERE name LIKE '_django%'")
        return cursor.fetchone()[0]


def test_a_list_of_thousands_is_never_in_memory_as_a_whole(db):
    shop = make_shop(timezone="America/New_York", currency="USD")
    model = plant(connect(shop, "7495000000000000001", "Fig"), "model", OrderState.RECEIVED)
    multiply(model, MANY, {"tiktok_id": "i::text", "placed_at": "now() - i * interval '1 minute'"})
    line = OrderLine.objects.create(order=model, tiktok_line_id="m", seller_sku="TEE")
    multiply(line, MANY, {"order_id": f"{model.pk} + i"})
    before = living(Order)
    response = Visitor(shop.domain).fetch("/orders/export")
    lines, most = 0, 0
    for chunk in response.streaming_content:
        lines += chunk.count(b"\r\n")
        if lines in (1, export.AT_ONCE, 2 * export.AT_ONCE + 7):
            most = max(most, living(Order) - before)
            assert cursors() == 1 or lines == 1
    assert lines == 1 + MANY + 1  # the heading, the copies, and what they were copied from
    assert 0 < most <= 2 * export.AT_ONCE
    assert cursors() == 0


def test_a_catalogue_of_thousands_is_never_in_memory_as_a_whole(db):
    shop = make_shop()
    connection = connect(shop, "7495000000000000001", "Fig")
    model = SkuLink.objects.create(connection=connection, sku_id="model", title="Mug")
    many = 3 * sku_file.AT_ONCE
    multiply(model, many, {"sku_id": "i::text"})
    before = living(SkuLink)
    response = Visitor(shop.domain).fetch("/products/export", connection=str(connection.pk))
    lines, most = 0, 0
    for chunk in response.streaming_content:
        lines += chunk.count(b"\r\n")
        if lines in (2, sku_file.AT_ONCE, 2 * sku_file.AT_ONCE + 7):
            most = max(most, living(SkuLink) - before)
            assert cursors() == 1
    assert lines == 1 + many + 1  # the heading, the copies, and what they were copied from
    assert 0 < most <= 2 * sku_file.AT_ONCE
    assert cursors() == 0
