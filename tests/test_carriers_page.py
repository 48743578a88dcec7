"""The carriers page: what a name in Shopify means to TikTok, and a box that tries a number."""

import json

import pytest

from connector import carrier_names
from connector.models import CarrierLink, Connection, Parcel
from connector.states import OrderState
from tests.planting import connect, plant
from tests.shopify_script import make_shop
from tests.test_pages import text
from tests.visits import Visitor

USPS, UPS = {"id": "71178", "name": "USPS"}, {"id": "71179", "name": "UPS"}


@pytest.fixture
def connection(db):
    connection = connect(make_shop(), "7495000000000000001", "Fig & Fleece")
    Connection.objects.filter(pk=connection.pk).update(providers=[UPS, USPS])
    connection.refresh_from_db()
    return connection


@pytest.fixture
def visitor(connection):
    return Visitor(connection.shop.domain)


def parcel(connection, company, n=1, **facts):
    order = plant(connection, f"57700000000000000{n}", OrderState.FINALIZED)
    return Parcel.objects.create(
        shop=connection.shop,
        order=order,
        fulfillment_gid=f"gid://{n}",
        number=f"1Z{n}",
        company=company,
        **facts,
    )


def test_names_that_stand_on_parcels_and_have_no_carrier_come_first(connection, visitor):
    parcel(connection, "Bob's Bikes", 1)
    parcel(connection, "USPS", 2)
    parcel(connection, "", 3)
    names = carrier_names.names_of(connection)
    assert (names[0].company, names[0].seen, names[0].found.provider_id) == ("Bob's Bikes", True, "")
    by_name = {name.company: name for name in names}
    assert by_name["USPS"].seen and by_name["USPS"].found.provider_id == USPS["id"]
    assert not by_name["UPS"].seen and by_name["UPS"].found.how == "exact"
    assert (
        "1 carrier of your fulfillments has no TikTok carrier" in visitor.open("/carriers").content.decode()
    )


def test_mapping_a_name_wakes_the_parcels_that_waited_and_says_how_many(connection, visitor):
    waiting = parcel(connection, "Bob's Bikes", reason="carrier_unknown")
    given = {"connection": connection.pk, "company": "bob's bikes", "provider": UPS["id"]}
    response = visitor.post("/carriers/link", **given)
    words = json.loads(response["HX-Trigger"])["toast"]["words"]
    assert words == "bob's bikes means UPS now. 1 waiting parcel goes on."
    waiting.refresh_from_db()
    assert waiting.due_at
    assert "Bob&#x27;s Bikes Used UPS your choice Change" in text(visitor.open("/carriers"))


def test_a_mapping_can_be_taken_back(connection, visitor):
    CarrierLink.objects.create(connection=connection, company="bobsbikes", provider_id=UPS["id"])
    visitor.post("/carriers/link", connection=connection.pk, company="Bob's Bikes", provider="")
    assert not CarrierLink.objects.exists()


@pytest.mark.parametrize(("company", "provider"), [("", UPS["id"]), ("!!", UPS["id"]), ("Bob's Bikes", "42")])
def test_a_name_without_letters_or_a_carrier_that_tiktok_does_not_list_is_refused(
    connection, visitor, company, provider
):
    response = visitor.post("/carriers/link", connection=connection.pk, company=company, provider=provider)
    assert "Not saved" in response.content.decode() and not CarrierLink.objects.exists()


@pytest.mark.parametrize(
    ("number", "carrier", "words"),
    [
        ("9400 1118 9922 3100 0019 84", "", "We would send 9400111899223100001984 with USPS"),
        ("9400111899223100001984", "", "USPS: the shape fits and the check digit holds"),
        ("9400111899223100001985", "USPS", "We would not send 9400111899223100001985"),
        ("9400111899223100001985", "USPS", "the shape fits, but the check digit does not hold"),
        (
            "3003352660",
            "",
            "More than one carrier prints numbers of this shape: give the carrier's name too.",
        ),
        ("ABC-12345", "Nobody Express", "No carrier that we know prints numbers of this shape"),
        ("", "", "Type a number first"),
    ],
)
def test_trying_a_number_tells_what_it_fits_and_what_we_would_send(
    connection, visitor, number, carrier, words
):
    page = text(visitor.open("/carriers/try", connection=str(connection.pk), number=number, carrier=carrier))
    assert words in page
    assert not Parcel.objects.exists()


def test_the_fallback_carrier_stands_with_its_warning(connection, visitor):
    assert "No fallback carrier" in text(visitor.open("/carriers"))
    Connection.objects.update(settings={"fallback_provider": UPS["id"]})
    assert "Fallback carrier: UPS. It is sent where nothing else fits; TikTok may refuse" in text(
        visitor.open("/carriers")
    )


def test_before_tiktok_s_list_is_read_the_page_says_so(connection, visitor):
    Connection.objects.update(providers=[], listing_words="105005: no scope")
    page = visitor.open("/carriers").content.decode()
    assert "are not read yet" in page and "TikTok says: 105005: no scope" in page


def test_another_store_s_carriers_are_neither_shown_nor_changed(connection, visitor):
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    Connection.objects.update(providers=[UPS])
    parcel(theirs, "Secret Riders")
    assert visitor.open("/carriers", connection=str(theirs.pk)).status_code == 404
    given = {"connection": theirs.pk, "company": "x", "provider": UPS["id"]}
    assert visitor.post("/carriers/link", **given).status_code == 404
    assert visitor.open("/carriers/try", connection=str(theirs.pk), number="1").status_code == 404
    assert "Secret Riders" not in visitor.open("/carriers").content.decode()
    assert not CarrierLink.objects.exists()


def test_the_real_list_of_the_sandbox_resolves_what_shopify_writes(world):
    visitor = Visitor(world.shop.domain)
    page = text(visitor.open("/carriers"))
    assert "USPS USPS the same name Change" in page
    assert "Federal Express" not in page
    world.connection.refresh_from_db()
    names = {name.company: name for name in carrier_names.names_of(world.connection)}
    assert names["FedEx"].found.provider_name == "FedEx"
