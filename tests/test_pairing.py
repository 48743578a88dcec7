"""Which Shopify line stands for which TikTok units, also where Shopify forgets what we wrote on the lines."""

from decimal import Decimal

import pytest
from world import World

from connector import choices
from connector.models import Order
from connector.pairing import Sold, pair
from connector.states import OrderState
from shopify_app.orders import OrderLine

UPS = "1Z410E7W0392751591"
TEE, MUG = "gid://shopify/ProductVariant/1", "gid://shopify/ProductVariant/2"


@pytest.fixture(autouse=True)
def _forgetful(request):
    """A completed draft's lines come without our attribute."""
    if "world" in request.fixturenames:
        request.getfixturevalue("world").shopify.settings.change(line_attributes_carry_over=False)


def line_of(world: World, order: Order, price: str) -> str:
    [line] = [one for one in world.store.orders[order.order_gid].lines if one.unit_price == Decimal(price)]
    return str(line.id)


def priced(world: World, order: Order, price: str) -> set[str]:
    """TikTok's units at a price."""
    lines = world.tiktok.order(order.tiktok_id).lines
    return {line.id for line in lines if line.original_price == Decimal(price)}


def ship(world: World, order: Order, lines: dict[str, int] | None = None) -> set[str]:
    """The units that TikTok is told of."""
    world.store.fulfill(order.order_gid, lines=lines, company="UPS", numbers=[UPS])
    world.settle()
    return {unit for effect in world.tiktok_effects("ship") for unit in effect["line_ids"]}


def test_several_lines_are_told_apart_without_our_attribute_and_their_tracking_reaches_tiktok(world):
    order = world.finalized(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1), ("CAP-NVY", 3)])
    assert not any(line.attributes for line in world.store.orders[order.order_gid].lines)
    assert order.other_line_gids == []
    assert len(ship(world, order)) == 6
    assert world.order(order.tiktok_id).state == OrderState.SHIPPED


def test_two_prices_of_one_variant_are_two_lines_and_each_has_its_own_units(world):
    tees = [
        {"sku": "TEE-BLK-M", "quantity": 2, "price": "24.00"},
        {"sku": "TEE-BLK-M", "quantity": 2, "price": "19.00"},
    ]
    order = world.finalized(lines=tees)
    sent = ship(world, order, {line_of(world, order, "19.00"): 2})
    assert sent == priced(world, order, "19.00")


def test_custom_lines_are_told_by_their_titles(world):
    world.set_policy(unmatched="custom_line")
    unknown = [{"sku": f"TT-ONLY-{n}", "quantity": 1, "price": "12.00"} for n in (1, 2)]
    order = world.finalized(lines=[*unknown, ("MUG-WHT", 1)])
    assert order.other_line_gids == []
    assert len(ship(world, order)) == 3


def test_the_tax_line_and_what_a_merchant_added_stand_for_no_unit(world):
    world.set_policy(tax_line=True)
    order = world.placed(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)], tax="2.50")
    world.release_hold()
    order = world.order(order.tiktok_id)
    [tax] = order.other_line_gids
    assert tax == line_of(world, order, "2.50")
    assert len(ship(world, order)) == 3


def test_a_line_is_told_by_the_variant_it_was_written_with_also_when_its_sku_is_linked_anew(world):
    order = world.placed(lines=[("TEE-BLK-M", 1), ("MUG-WHT", 1)])
    sku_id = order.lines.get(seller_sku="MUG-WHT").sku_id
    other = world.store.variant("CAP-NVY")
    choices.link_sku(world.connection, sku_id, other.id, "Cap", by="7")
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert order.other_line_gids == []
    assert len(ship(world, order)) == 2


def test_an_order_that_a_merchant_completed_is_paired_too(world):
    order = world.placed(lines=[("TEE-BLK-M", 2), ("MUG-WHT", 1)])
    world.pass_time(2)
    world.store.complete_draft(order.draft_gid)
    world.settle()
    world.release_hold()
    order = world.order(order.tiktok_id)
    assert order.other_line_gids == []
    assert len(ship(world, order)) == 3


# ---- pure ----


def sold(variant: str, *unit_ids: str, price: str = "10", title: str = "Tee") -> Sold:
    return Sold(variant, title, Decimal(price), unit_ids)


def line(gid: str, variant: str, quantity: int = 1, price: str = "10.00", title: str = "Tee") -> OrderLine:
    return OrderLine(gid, "", quantity, variant, title=title, unit_price=Decimal(price))


@pytest.mark.parametrize(
    ("groups", "lines", "found"),
    [
        ([sold(TEE, "1")], [line("a", TEE), line("b", MUG)], {"a": ("1",), "b": ()}),
        ([sold(TEE, "1"), sold(TEE, "2", price="9")], [line("a", TEE, price="9")], {"a": ("2",)}),
        ([sold(TEE, "1"), sold(TEE, "2", "3")], [line("a", TEE, 2), line("b", TEE)], {"a": ("2", "3"), "b": ("1",)}),
        ([sold(TEE, "1"), sold(TEE, "2")], [line("a", TEE), line("b", TEE)], {"a": (), "b": ()}),
        ([sold(TEE, "1")], [line("a", TEE), line("b", TEE)], {"a": (), "b": ()}),
        ([sold(TEE, "1", "2")], [line("a", TEE, 3)], {"a": ()}),
        ([sold("", "1", title="Cap")], [line("a", "", title="Cap"), line("b", "")], {"a": ("1",), "b": ()}),
        ([sold(TEE, "1", title="Cap")], [line("a", MUG, title="Cap")], {"a": ()}),
    ],
    ids=["other", "prices", "quantities", "two alike", "a copy", "another quantity", "by title", "another variant"],
)  # fmt: skip
def test_a_line_and_units_belong_together_when_each_is_the_only_one_that_fits(groups, lines, found):
    assert pair(groups, lines) == found
