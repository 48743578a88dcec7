"""What no page of ours sends, answered with 400 or passed over: never with 500."""

import pytest
from django.test import Client

from connector.models import CarrierLink, Order
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.visits import Visitor, text


@pytest.fixture
def connection(db):
    return connect(make_shop(), "7495000000000000001", "Fig & Fleece")


@pytest.fixture
def visitor(connection):
    return Visitor(connection.shop.domain)


def posted(visitor, path, body, kind):
    return Client().post(path, body, content_type=kind, headers=visitor.headers)


@pytest.mark.parametrize("name", ["find", "after", "seen", "whatever"])
def test_a_query_with_a_nul_is_400_in_the_frame(visitor, name):
    answer = visitor.open("/orders", **{name: "a\x00b"})
    assert answer.status_code == 400
    assert "Content-Security-Policy" in answer
    assert "cannot be read" in text(answer)


def test_a_form_with_a_nul_is_400_and_changes_nothing(visitor):
    assert visitor.post("/carriers/link", company="U\x00PS", provider="").status_code == 400
    assert not CarrierLink.objects.exists()


def test_a_body_that_is_no_form_is_400(visitor):
    assert posted(visitor, "/carriers/link", b"\x00\xff--b", "multipart/form-data").status_code == 400


def test_a_form_that_is_too_large_is_413_and_one_of_too_many_fields_400(visitor, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE, settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000, 5
    kind = "application/x-www-form-urlencoded"
    assert posted(visitor, "/carriers/link", b"company=" + b"x" * 2000, kind).status_code == 413
    assert posted(visitor, "/carriers/link", b"&".join(b"a=1" for _ in range(9)), kind).status_code == 400


def test_keys_that_no_row_can_have_choose_nothing(connection, visitor):
    order = plant(connection, "577")
    assert visitor.post("/orders/chosen/skip", order=["9" * 30, "9" * 5000, "-1", "٣"]).status_code == 204
    assert visitor.post("/orders/older/leave", order=["9" * 5000]).status_code == 200
    assert visitor.open("/products", connection="9" * 5000).status_code == 404
    assert visitor.open("/products", connection=str(connection.pk), after="9" * 5000).status_code == 200
    assert not Order.objects.get(pk=order.pk).skip


@pytest.mark.parametrize(
    "after",
    [
        *("0001-01-01T00:00:00+14:00_1", "9999-12-31T23:59:59-14:00_1", "2026-11-22T00:00:00_1"),
        *(f"_{'9' * 30}", f"_{'9' * 5000}", f"2026-11-22T00:00:00+00:00_{'9' * 5000}", "_-1"),
    ],
)
def test_a_cursor_of_no_order_shows_a_page(connection, visitor, after):
    plant(connection, "577")
    assert visitor.open("/orders", after=after).status_code == 200
    assert visitor.open("/orders", before=after).status_code == 200


@pytest.mark.parametrize(
    "name", ["[x", "x]y", "[::1]", "a℀b", "a@b", "a:1", "\u212a", " x", "", "https://https://x"]
)
@pytest.mark.parametrize("path", ["/", "/orders", "/auth/session-token", "/nowhere"])
def test_a_name_that_is_no_shops_opens_no_page_and_breaks_none(db, path, name):
    answer = Client().get(path, {"shop": f"{name}.myshopify.com"})
    assert answer.status_code in (200, 302, 404)
    assert "myshopify" not in answer["Content-Security-Policy"]
