"""TikTok's words into Shopify's: money to the cent, no unit lost or doubled, nothing personal kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import mapping
from connector.mapping import (
    VariantChoice,
    address,
    differences,
    draft_content,
    expected_total,
    money_problem,
)
from connector.policy import ASK, BUYER_PAID, CUSTOM_LINE, KINDS, SELLER_EARNS, Policy
from tiktok.orders import Order

D = Decimal


def line(n: int = 1, **changes: Any) -> dict[str, Any]:
    unit = {
        "id": f"57712009871120{n:04}",
        "sku_id": "1730012345678900222",
        "seller_sku": "SOCK-L",
        "product_name": "Merino Crew Socks",
        "sku_name": "Charcoal, L",
        "original_price": "24.99",
        "sale_price": "19.99",
        "seller_discount": "3.00",
        "platform_discount": "2.00",
        "currency": "USD",
        "display_status": "AWAITING_SHIPMENT",
    }
    return unit | changes


def raw_order(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An order whose amounts add up, shipping 6.99 less 1.00 by the seller and 2.00 by TikTok."""
    units = lines or (line(),)
    total = {
        k: sum(D(u[k]) for u in units)
        for k in ("sale_price", "original_price", "seller_discount", "platform_discount")
    }
    payment = {
        "currency": "USD",
        "sub_total": str(total["sale_price"]),
        "original_total_product_price": str(total["original_price"]),
        "seller_discount": str(total["seller_discount"]),
        "platform_discount": str(total["platform_discount"]),
        "shipping_fee": "3.99",
        "original_shipping_fee": "6.99",
        "shipping_fee_seller_discount": "1.00",
        "shipping_fee_platform_discount": "2.00",
        "shipping_fee_cofunded_discount": "0",
        "tax": "1.65",
        "total_amount": str(total["sale_price"] + D("5.64")),
    }
    body = {"id": "577120098711193302", "status": "AWAITING_SHIPMENT", "line_items": list(units)}
    return body | changes | {"payment": payment | changes.get("payment", {})}


def order(*lines: dict[str, Any], **changes: Any) -> Order:
    return Order.from_api(raw_order(*lines, **changes))


def recipient(**changes: Any) -> Order:
    told = {
        "name": "Jordan Doe",
        "first_name": "Jordan",
        "last_name": "Doe",
        "phone_number": "(+1)5125550147",
        "region_code": "US",
        "postal_code": "78704",
        "address_line1": "2207 Example Street",
        "address_line2": "Apt 5",
        "district_info": districts(),
    }
    return order(recipient_address=told | changes)


def districts(
    state: str = "Texas", iso: str = "TX", county: str = "Travis", city: str = "Austin"
) -> list[dict[str, str]]:
    told = [
        ("L0", "Country", "United States", "US"),
        ("L1", "State", state, iso),
        ("L2", "County", county, ""),
    ]
    told.append(("L3", "City", city, ""))
    return [
        {"address_level": level, "address_level_name": name, "address_name": value, "iso_code": code}
        for level, name, value, code in told
        if value
    ]


EARNS, PAID = (
    Policy(money_mode=SELLER_EARNS, unmatched=CUSTOM_LINE),
    Policy(money_mode=BUYER_PAID, unmatched=CUSTOM_LINE),
)


def content(
    source: Order, policy: Policy = EARNS, variants: Any = None, *, held: bool = True, until: Any = None
):
    return draft_content(source, variants or {}, policy, until, held)


def total_of(draft) -> Decimal:
    return sum((part.quantity * part.unit_price for part in draft.lines), D(0)) + draft.shipping_amount


# Money


def test_as_the_seller_earns_tiktoks_own_discounts_are_part_of_the_price():
    draft = content(order(line(1), line(2)))
    assert [(part.quantity, part.unit_price) for part in draft.lines] == [(2, D("21.99"))]
    assert draft.shipping_amount == D("5.99")
    assert expected_total(order(line(1), line(2)), EARNS) == D("49.97")


def test_as_the_buyer_paid_they_are_not():
    draft = content(order(line(1), line(2)), PAID)
    assert [(part.quantity, part.unit_price) for part in draft.lines] == [(2, D("19.99"))]
    assert draft.shipping_amount == D("3.99")


def test_tax_is_left_out_unless_the_merchant_wants_a_line_for_it():
    assert total_of(content(order(), PAID)) == D("23.98")
    policy = replace(PAID, tax_line=True)
    draft = content(order(), policy)
    assert draft.lines[-1].unit_price == D("1.65")
    assert (draft.lines[-1].variant_id, draft.lines[-1].requires_shipping) == (None, False)
    assert total_of(draft) == expected_total(order(), policy) == D("25.63")


def test_tax_contained_in_british_prices_is_never_added_to_them():
    british = order(payment={"currency": "GBP", "tax": "4.00", "total_amount": "23.98"})
    assert mapping.added_tax(british) == mapping.unexplained(british) == 0
    assert total_of(content(british, replace(PAID, tax_line=True))) == D("23.98")


def test_a_tax_told_only_in_its_parts_counts():
    source = raw_order(payment={"product_tax": "1.50", "shipping_fee_tax": "0.15"})
    del source["payment"]["tax"]
    assert mapping.added_tax(Order.from_api(source)) == D("1.65")


def test_fees_tiktok_collects_are_shown_beside_and_never_booked():
    source = order(payment={"retail_delivery_fee": "0.28", "total_amount": "25.91"})
    assert mapping.left_out(source.payment) == {"tax": D("1.65"), "retail_delivery_fee": D("0.28")}
    assert mapping.unexplained(source) == 0
    assert expected_total(source, PAID) == D("23.98")


def test_an_unexplained_rest_is_told_and_does_not_stop():
    source = order(payment={"total_amount": "30.00"})
    assert mapping.unexplained(source) == D("4.37")
    assert money_problem(source) is None


def test_an_order_without_a_total_has_no_unexplained_rest():
    source = raw_order()
    del source["payment"]["total_amount"]
    assert mapping.unexplained(Order.from_api(source)) == 0


def test_lines_that_do_not_add_up_stop_with_both_sums():
    problem = money_problem(order(payment={"sub_total": "20.00"}))
    assert problem is not None
    assert problem.code == "amounts_mismatch"
    assert problem.detail == {"what": "lines", "stated": "20.00", "added_up": "19.99", "currency": "USD"}


def test_shipping_that_does_not_add_up_stops_with_both_sums():
    problem = money_problem(order(payment={"shipping_fee": "4.00"}))
    assert problem is not None
    assert problem.detail == {"what": "shipping", "stated": "4.00", "added_up": "3.99", "currency": "USD"}


def test_a_co_funded_shipping_discount_replaces_the_sellers():
    assert (
        money_problem(order(payment={"shipping_fee_cofunded_discount": "1.50", "shipping_fee": "3.49"}))
        is None
    )
    assert money_problem(order(payment={"shipping_fee_cofunded_discount": "1.50"})) is not None


def test_shipping_told_as_one_sum_is_believed():
    source = raw_order()
    for part in ("original_shipping_fee", "shipping_fee_seller_discount", "shipping_fee_cofunded_discount"):
        del source["payment"][part]
    assert money_problem(Order.from_api(source)) is None


@pytest.mark.parametrize("stated", ["39.98", "19.99"])
def test_a_partly_cancelled_order_may_state_the_sum_before_or_after(stated):
    source = order(line(1), line(2, display_status="CANCEL"), payment={"sub_total": stated})
    assert money_problem(source) is None
    assert expected_total(source, PAID) == D("23.98")


def test_yen_keep_their_exponent():
    yen = {
        "original_price": "1200",
        "sale_price": "1000",
        "seller_discount": "100",
        "platform_discount": "100",
    }
    shipping = {"shipping_fee": "500", "original_shipping_fee": "500"}
    none = {"shipping_fee_seller_discount": "0", "shipping_fee_platform_discount": "0", "tax": "0"}
    source = order(line(1, currency="JPY", **yen), payment={"currency": "JPY", **shipping, **none})
    draft = content(source)
    assert (str(draft.lines[0].unit_price), str(draft.shipping_amount)) == ("1100", "500")
    assert str(expected_total(source, EARNS)) == "1600"
    assert draft.currency == "JPY"


cents = st.integers(0, 500_000).map(lambda n: D(n) / 100)
names = st.text(max_size=40)


@st.composite
def orders(draw) -> Order:
    """Any order whose amounts add up: up to 60 units of up to five SKUs, some of them cancelled or gifts."""
    prices = draw(st.lists(st.tuples(cents, cents, cents), min_size=1, max_size=3))
    skus = draw(st.lists(st.tuples(st.sampled_from("ABCDE"), names, names), min_size=1, max_size=5))
    units = []
    for n in range(draw(st.integers(1, 60))):
        sale, seller, platform = draw(st.sampled_from(prices))
        sku, product, variant = draw(st.sampled_from(skus))
        units.append(
            line(
                n,
                sku_id=sku,
                seller_sku=f"SKU-{sku}",
                product_name=product,
                sku_name=variant,
                sale_price=str(sale),
                seller_discount=str(seller),
                platform_discount=str(platform),
                original_price=str(sale + seller + platform),
                is_gift=draw(st.booleans()),
                display_status=draw(st.sampled_from(["AWAITING_SHIPMENT"] * 5 + ["CANCELLED"])),
            )
        )
    fee, ours, theirs, tax = (draw(cents) for _ in range(4))
    shipping = {
        "shipping_fee": str(fee),
        "original_shipping_fee": str(fee + ours + theirs),
        "shipping_fee_seller_discount": str(ours),
        "shipping_fee_platform_discount": str(theirs),
        "tax": str(tax),
        "total_amount": str(sum(D(u["sale_price"]) for u in units) + fee + tax),
    }
    return order(*units, payment=shipping)


policies = st.builds(
    Policy,
    money_mode=st.sampled_from([SELLER_EARNS, BUYER_PAID]),
    tax_line=st.booleans(),
    extra_tags=st.lists(st.text(max_size=60), max_size=5).map(tuple),
    note=st.text(max_size=40),
    unmatched=st.just(CUSTOM_LINE),
)


@given(orders(), policies)
def test_the_draft_adds_up_to_what_is_expected_to_the_cent(source, policy):
    assert money_problem(source) is None
    assert mapping.unexplained(source) == 0
    assert total_of(content(source, policy)) == expected_total(source, policy)


@given(orders(), policies)
def test_grouping_neither_loses_nor_doubles_a_unit(source, policy):
    draft = content(source, policy)
    written = [unit for part in draft.lines for unit in mapping.read_unit_ids(part.attributes)]
    assert sorted(written) == sorted(unit.id for unit in source.line_items if not unit.cancelled)
    assert all(
        part.quantity == len(mapping.read_unit_ids(part.attributes))
        for part in draft.lines
        if part.attributes
    )
    for units in mapping.group(source.line_items, policy):
        members = [unit for unit in source.line_items if unit.id in units.unit_ids]
        assert {(u.sku_id, u.is_gift, mapping.booked_unit(u, policy.money_mode)) for u in members} == {
            (units.sku_id, units.line.is_gift, units.unit_price)
        }


@given(orders(), policies)
def test_every_tag_and_attribute_fits_what_shopify_takes(source, policy):
    draft = content(source, policy)
    assert all(0 < len(tag) <= 40 and "," not in tag for tag in draft.tags)
    assert len({tag.casefold() for tag in draft.tags}) == len(draft.tags)
    assert draft.tags[:3] == ("TikTok Shop", "tiktok-on-hold", f"tts-{source.id}")
    assert all(len(value) <= 255 for part in draft.lines for value in part.attributes.values())
    assert all(0 < len(part.title) <= 255 for part in draft.lines)


@given(orders())
def test_nothing_changed_since_its_own_snapshot_and_a_snapshot_is_json(source):
    assert differences(json.loads(json.dumps(mapping.snapshot(source))), source) == []


PUBLISHED = Path(__file__).parent / "contract" / "tiktok"


@pytest.mark.parametrize(
    ("name", "earns", "paid"),
    [
        ("awaiting_shipment_multi", "63.02", "57.02"),
        ("on_hold_single", None, None),
        ("cancelled_during_hold", None, None),
    ],
)
def test_the_contracts_own_orders_add_up(name, earns, paid):
    [raw] = json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))["data"]["orders"]
    source = Order.from_api(raw)
    assert money_problem(source) is None
    assert mapping.unexplained(source) == 0
    for policy, total in ((EARNS, earns), (PAID, paid)):
        assert total_of(content(source, policy)) == expected_total(source, policy)
        assert total is None or expected_total(source, policy) == D(total)


# Lines


def test_forty_units_of_one_sku_are_one_line_with_all_their_ids():
    draft = content(order(*(line(n) for n in range(40))))
    assert [part.quantity for part in draft.lines] == [40]
    assert len(mapping.read_unit_ids(draft.lines[0].attributes)) == 40
    assert set(draft.lines[0].attributes) == {
        "_tiktok_line_ids",
        *(f"_tiktok_line_ids_{n}" for n in (2, 3, 4)),
    }


def test_sixty_different_lines_stay_sixty():
    assert len(content(order(*(line(n, sku_id=str(n)) for n in range(60)))).lines) == 60


def test_a_gift_of_a_bought_sku_is_its_own_line_at_nothing():
    free = {"sale_price": "0", "original_price": "0", "seller_discount": "0", "platform_discount": "0"}
    draft = content(order(line(1), line(2, is_gift=True, **free)))
    assert [(part.quantity, part.unit_price) for part in draft.lines] == [(1, D("21.99")), (1, D(0))]


def test_a_line_that_is_not_ours_carries_no_units():
    assert mapping.read_unit_ids({}) == ()
    assert mapping.read_unit_ids({"engraving": "Mum"}) == ()


def test_a_mapped_sku_is_its_variant_and_an_unmapped_one_a_custom_line():
    source = order(
        line(1), line(2, sku_id="2", seller_sku="", product_name="Пуловер 毛衣", sku_name="Größe M")
    )
    variants = {"1730012345678900222": VariantChoice("gid://shopify/ProductVariant/1", "Socks L"), "2": None}
    socks, sweater = content(source, variants=variants).lines
    assert (socks.variant_id, socks.title, socks.sku) == (
        "gid://shopify/ProductVariant/1",
        "Socks L",
        "SOCK-L",
    )
    assert (sweater.variant_id, sweater.title, sweater.sku) == (None, "Пуловер 毛衣 - Größe M", "")


def test_an_unmapped_sku_is_never_written_where_the_merchant_wants_to_be_asked():
    with pytest.raises(LookupError):
        content(order(), replace(EARNS, unmatched=ASK))


@pytest.mark.parametrize(
    ("told", "title"),
    [
        ({"sku_name": "Default"}, "Merino Crew Socks"),
        ({"sku_name": ""}, "Merino Crew Socks"),
        ({"product_name": "", "sku_name": ""}, "SOCK-L"),
        ({"product_name": "", "sku_name": "", "seller_sku": ""}, "TikTok SKU 1730012345678900222"),
        ({"product_name": "x" * 300}, "x" * 255),
    ],
)
def test_a_custom_line_always_has_a_title(told, title):
    assert content(order(line(1, **told))).lines[0].title == title


def test_the_currency_is_the_payments_else_the_lines():
    assert mapping.currency(order(payment={"currency": ""})) == "USD"
    assert mapping.currency(order(line(currency=""), payment={"currency": ""})) == ""


# Kinds, tags, notes


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"is_sample_order": True}, "sample"),
        ({"is_replacement_order": True}, "replacement"),
        ({"is_exchange_order": True}, "exchange"),
        ({"is_subscription_order": True}, "subscription"),
        ({"order_type": "PRE_ORDER"}, "pre-order"),
        ({"order_type": "MADE_TO_ORDER"}, "made-to-order"),
        ({"order_type": "BACK_ORDER"}, "back-order"),
        ({"split_or_combine_tag": "COMBINED"}, "combined"),
        ({"auto_combine_group_id": "77"}, "combined"),
        ({"split_or_combine_tag": "SPLIT"}, "split"),
    ],
)
def test_every_kind_of_order_is_recognised_and_tagged(told, kind):
    source = order(**told)
    assert mapping.kinds(source) == {kind} <= set(KINDS)
    assert f"tiktok-{kind}" in content(source).tags


def test_gifts_and_bundles_are_recognised_by_their_live_lines():
    assert mapping.kinds(order(line(1), line(2, is_gift=True))) == {"gift"}
    assert mapping.kinds(order(line(1, combined_listing_skus=[{"sku_id": "9", "sku_count": 2}]))) == {
        "bundle"
    }
    assert mapping.kinds(order(line(1), line(2, is_gift=True, display_status="CANCELLED"))) == frozenset()
    assert mapping.kinds(order(order_type="NORMAL")) == frozenset()


def test_the_merchants_tags_come_last_and_cannot_speak_for_us():
    policy = replace(
        EARNS, extra_tags=("wholesale, EU", "tts-1", "TikTok-On-Hold", "tiktok shop", "x" * 50, " ")
    )
    assert content(order(), policy, held=False).tags == (
        "TikTok Shop",
        "tts-577120098711193302",
        "wholesale EU",
        "x" * 40,
    )


def test_a_released_draft_keeps_the_tags_a_person_put_on_it():
    assert mapping.released_tags(["TikTok Shop", "TikTok-on-hold", "vip"]) == ("TikTok Shop", "vip")


@pytest.mark.parametrize("held", [True, False])
def test_the_note_says_that_tiktok_was_paid_and_shopify_charges_nobody(held):
    text = content(order(), replace(EARNS, note="Pack in the blue box."), held=held).note
    assert "TikTok has collected the payment" in text
    assert "nobody" in text
    assert text.endswith("Pack in the blue box.")
    assert ("on hold: do not ship" in text) is held


def test_the_release_rewrites_our_words_in_the_note_and_keeps_a_persons():
    held = mapping.note(order(), EARNS, held=True)
    released = mapping.released_note(f"Anna: gift wrap!\n{held}", "577120098711193302")
    assert released == f"Anna: gift wrap!\n{mapping.note(order(), EARNS, held=False)}"
    assert mapping.released_note("rewritten by hand", "577120098711193302") == "rewritten by hand"


def test_the_draft_carries_tiktoks_id_and_status_and_reserves_stock():
    until = datetime(2026, 11, 21, 12, tzinfo=UTC)
    draft = content(order(), until=until)
    assert draft.attributes == {"tiktok_order_id": "577120098711193302", "tiktok_status": "AWAITING_SHIPMENT"}
    assert draft.reserve_until == until


# Addresses


def told_address(**changes: Any):
    found = address(recipient(**changes))
    assert found is not None
    return found


def test_an_american_address_becomes_shopifys():
    found = told_address()
    assert (found.first_name, found.last_name) == ("Jordan", "Doe")
    assert (found.address1, found.address2, found.city) == ("2207 Example Street", "Apt 5", "Austin")
    assert (found.province_code, found.zip, found.country_code, found.phone) == (
        "TX",
        "78704",
        "US",
        "+15125550147",
    )


def test_an_american_city_is_the_third_level_else_the_second():
    assert told_address(district_info=districts(city="")).city == "Travis"


@pytest.mark.parametrize(
    ("state", "iso", "code"),
    [
        ("Texas", "TX", "TX"),
        ("Texas", "US-TX", "TX"),
        ("Texas", "", "TX"),
        ("New  York", "", "NY"),
        ("District of Columbia", "", "DC"),
        ("Texas", "Q9", "TX"),
        ("Atlantis", "", ""),
    ],
)
def test_a_state_is_found_by_its_code_else_by_its_name(state, iso, code):
    assert told_address(district_info=districts(state, iso)).province_code == code


def test_a_british_address_has_a_post_town_and_no_invented_county():
    districts_gb = [
        {
            "address_level": "L1",
            "address_level_name": "State",
            "address_name": "England",
            "iso_code": "GB-ENG",
        },
        {
            "address_level": "L2",
            "address_level_name": "City",
            "address_name": "Greater London",
            "iso_code": "",
        },
    ]
    found = told_address(
        region_code="GB", post_town="LONDON", postal_code="N1 9GU", district_info=districts_gb
    )
    assert (found.city, found.province_code, found.country_code, found.zip) == (
        "LONDON",
        "ENG",
        "GB",
        "N1 9GU",
    )
    assert told_address(region_code="UK", district_info=[]).country_code == "GB"


def test_another_countrys_province_keeps_its_code_without_the_country():
    spain = [
        {
            "address_level": "L1",
            "address_level_name": "Province",
            "address_name": "Madrid",
            "iso_code": "ES-M",
        }
    ]
    assert told_address(region_code="ES", district_info=spain).province_code == "M"


@pytest.mark.parametrize(
    ("name", "first", "last", "expected"),
    [
        ("Jordan Doe", "Jordan", "Doe", ("Jordan", "Doe")),
        ("Jordan Doe", "Jordan Doe", "", ("Jordan", "Doe")),
        ("Jordan Doe", "Jordan Doe", "Doe", ("Jordan", "Doe")),
        ("Jordan Doe", "", "", ("Jordan", "Doe")),
        ("Jordan Doe", "", "Doe", ("Jordan", "Doe")),
        ("", "Jordan", "", ("", "Jordan")),
        ("Madonna", "Madonna", "", ("", "Madonna")),
        ("Ana María de la Cruz", "", "", ("Ana María de la", "Cruz")),
        ("", "", "", ("", "")),
    ],
)
def test_a_name_has_a_last_part_however_tiktok_told_it(name, first, last, expected):
    found = told_address(name=name, first_name=first, last_name=last)
    assert (found.first_name, found.last_name) == expected


@given(st.lists(st.text(st.characters(categories=["L", "N"]), max_size=20), min_size=4, max_size=4))
def test_no_line_of_an_address_is_lost(lines):
    found = address(
        recipient(**{f"address_line{n}": text for n, text in enumerate(lines, 1)}, full_address="somewhere")
    )
    assert found is not None
    written = f"{found.address1}, {found.address2}"
    assert all(text in written for text in lines)


def test_an_address_told_in_one_line_is_used_as_it_is():
    empty = {"address_line1": "", "address_line2": ""}
    assert told_address(**empty, address_detail="1 Main St Apt 2").address1 == "1 Main St Apt 2"
    assert told_address(**empty, full_address="1 Main St, Austin").address1 == "1 Main St, Austin"


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("(+44)7700 900123", "+447700900123"),
        ("512-555-0147", "5125550147"),
        ("+1 512 ext. 9", "+1 512 ext. 9"),
        ("", ""),
    ],
)
def test_a_phone_loses_its_brackets_and_nothing_else(told, written):
    assert told_address(phone_number=told).phone == written


def test_no_address_at_all_is_none():
    assert address(order()) is None
    nowhere = {"address_line1": "", "address_line2": "", "postal_code": ""}
    assert address(recipient(**nowhere)) is None


@pytest.mark.parametrize("code", ["PR", "GU", "VI", "AS", "MP"])
def test_a_territory_is_warned_of_and_is_a_state_to_shopify(code):
    as_country = recipient(region_code=code, district_info=[])
    as_state = recipient(
        district_info=districts("", code) + [{"address_level": "L1", "iso_code": code, "address_name": "?"}]
    )
    for source in (as_country, as_state):
        assert mapping.destination_warning(source) == code
        found = address(source)
        assert found is not None
        assert (found.country_code, found.province_code) == ("US", code)


def test_a_foreign_address_is_warned_of_in_an_american_shop_only():
    abroad = recipient(region_code="CA", district_info=[])
    assert mapping.destination_warning(abroad) == "CA"
    assert mapping.destination_warning(abroad, "GB") == ""
    assert mapping.destination_warning(recipient()) == ""
    assert mapping.destination_warning(order()) == ""


# Snapshots and differences


def test_a_snapshot_holds_money_and_goods_and_nothing_of_the_buyer():
    source = Order.from_api(
        raw_order(
            recipient_address={
                "name": "Jordan Doe",
                "phone_number": "(+1)5125550147",
                "address_line1": "2207 Example St",
            },
            buyer_message="leave at the door",
            buyer_email="v9@chat.seller.tiktok.com",
        )
    )
    kept = json.dumps(mapping.snapshot(source))
    for personal in ("Jordan", "5125550147", "2207", "door", "chat.seller"):
        assert personal not in kept
    assert mapping.snapshot(source)["amounts"]["sub_total"] == "19.99"
    assert mapping.snapshot(source)["lines"][0]["title"] == "Merino Crew Socks - Charcoal, L"


def test_a_cancelled_unit_is_told_with_the_quantity_before_and_after():
    before = mapping.snapshot(order(line(1), line(2), line(3, sku_id="other", seller_sku="ORG")))
    now = order(line(1), line(2, display_status="CANCELLED"), line(3, sku_id="other", seller_sku="ORG"))
    [change] = differences(before, now)
    assert (change.what, change.seller_sku, change.unit_ids) == (
        "cancelled",
        "SOCK-L",
        ("577120098711200002",),
    )
    assert (change.before, change.after) == ("2", "1")


def test_units_that_vanished_or_came_are_told():
    before = mapping.snapshot(order(line(1), line(2)))
    changes = differences(before, order(line(1), line(3)))
    assert [(change.what, change.unit_ids) for change in changes] == [
        ("removed", ("577120098711200002",)),
        ("added", ("577120098711200003",)),
    ]


def test_changed_prices_and_shipping_are_told_with_both_amounts():
    before = mapping.snapshot(order(line(1), line(2)))
    now = order(line(1, sale_price="18.99"), line(2, sale_price="18.99"), payment={"shipping_fee": "2.99"})
    price, shipping = differences(before, now)
    assert (price.what, len(price.unit_ids), price.before, price.after) == ("sale_price", 2, "19.99", "18.99")
    assert (shipping.what, shipping.before, shipping.after) == ("shipping_fee", "3.99", "2.99")


def test_an_order_known_by_nothing_yet_is_all_new():
    assert {change.what for change in differences({}, order())} >= {"added"}
