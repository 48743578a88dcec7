"""What a page says when it failed: what to do, a way to try again, where help is, and a reference to quote."""

import re
from urllib.parse import urlencode

import pytest
from django.conf import settings as configured
from django.test import Client, RequestFactory
from django.utils.http import url_has_allowed_host_and_scheme

from connector.models import Connection, SkuLink
from connector.views.trouble import server_error
from tests.test_odd_input import posted
from tests.visits import Visitor, session_token


@pytest.fixture
def visitor(world):
    return Visitor(world.shop.domain)


def refused(world) -> str:
    world.shopify.faults.add("productVariants", "403")
    return f"/products/{SkuLink.objects.first().pk}?tab=linked"


def silent(world) -> str:
    world.shopify.faults.add("productVariants", "503")
    return f"/products/{SkuLink.objects.first().pk}?tab=linked"


def broken(world) -> str:
    Connection.objects.update(settings=["what no form of ours can write"])
    return "/settings?from=home"


# How a page comes to fail so, by its status; each gives the address.
FAILURES = {
    400: lambda world: "/orders?find=%00",
    404: lambda world: "/orders/999999?from=list",
    500: broken,
    502: refused,
    503: silent,
}


@pytest.mark.parametrize("status", FAILURES)
def test_a_page_that_failed_has_a_way_to_try_again_and_to_help_and_a_reference(
    world, visitor, caplog, status
):
    caplog.set_level("INFO")
    path = FAILURES[status](world)
    token = urlencode({"id_token": session_token(visitor.domain)})
    response = Client().get(f"{path}&{token}")
    page = response.content.decode()
    assert response.status_code == status
    assert f'<a class="consent" href="{path}">Try again</a>' in page
    assert '<a href="/help">Help</a>' in page
    assert quoted(page) in {getattr(record, "reference", "") for record in caplog.records}


@pytest.mark.parametrize("status", FAILURES)
def test_a_page_that_failed_above_another_is_tried_again_itself(world, visitor, status):
    path = FAILURES[status](world)
    response = Client().get(path, headers=visitor.headers | {"HX-Boosted": "true"})
    page = response.content.decode()
    assert response.status_code == status
    assert f'<a class="consent" href="{path}">Try again</a>' in page
    assert quoted(page)


def test_of_a_part_that_failed_the_page_around_it_is_tried_again(world, visitor):
    around = {"HX-Current-URL": f"{configured.APP_URL}/orders?show=hold&id_token=x"}
    response = Client().get("/orders/999999/live", headers=visitor.headers | around)
    assert '<a class="consent" href="/orders?show=hold">Try again</a>' in response.content.decode()


@pytest.mark.parametrize("status", [413, 404])
def test_what_would_act_again_is_not_offered_to_be_tried_again(visitor, settings, caplog, status):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    caplog.set_level("INFO")
    response = {
        413: lambda: posted(
            visitor, "/carriers/link", b"company=" + b"x" * 2000, "application/x-www-form-urlencoded"
        ),
        404: lambda: visitor.post("/orders/999999/look-again"),
    }[status]()
    page = response.content.decode()
    assert response.status_code == status
    assert "Try again</a>" not in page and '<a href="/help">Help</a>' in page
    assert quoted(page) in {getattr(record, "reference", "") for record in caplog.records}


def test_what_broke_before_anybody_was_known_has_a_reference_too(db, caplog):
    caplog.set_level("INFO")
    page = server_error(RequestFactory().get("/orders")).content.decode()
    assert quoted(page) in {getattr(record, "reference", "") for record in caplog.records}


@pytest.mark.parametrize("path", ["//evil.example/orders", "/\\evil.example"])
def test_trying_again_never_leads_to_another_host(db, path):
    page = Client().get("/", PATH_INFO=path).content.decode()
    assert "This does not exist" in page
    for address in re.findall(r'<a class="consent" href="([^"]+)">Try again</a>', page):
        assert url_has_allowed_host_and_scheme(address, allowed_hosts=None)


def quoted(page: str) -> str:
    return re.search(r"Reference: <span class=\"number\">([0-9a-f]{8})</span>", page)[1]
