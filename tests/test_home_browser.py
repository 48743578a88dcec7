"""Home, proof and help in a real Chromium: checked on demand, compared on demand, downloaded, readable on a phone."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from connector.models import Audit, Connection, Heartbeat, Order, Parcel
from connector.states import OrderState
from shopify_app.sandbox import DEMO_SHOP
from tests.browsing import assert_accessible, drain_until
from tests.planting import plant
from tests.world import connected

pytestmark = pytest.mark.browser
pytest_plugins = ["browsing"]


@pytest.fixture
def world(tiktok, shopify, transactional_db):
    """Both sandboxes with one connected shop, seen through the admin."""
    world = connected(tiktok, shopify)
    Heartbeat.objects.create(name="clock", at=timezone.now())
    return world


def two_weeks(connection):
    """Orders of every outcome over two weeks, some of which ask or run out of time."""
    now = timezone.now()
    kinds = [
        (OrderState.FINALIZED, {}),
        (OrderState.SHIPPED, {}),
        (OrderState.ON_HOLD, {}),
        (OrderState.SKIPPED, {"reason": "tiktok_ships"}),
        (OrderState.CANCELLED, {}),
        (OrderState.RECEIVED, {"reason": "sku_unmapped"}),
    ]
    for day in range(14):
        for number in range(3 + day * 7 % 5):
            state, facts = kinds[(day + number) % len(kinds)]
            placed = now - timedelta(days=day, minutes=number)
            done = {"released_at": placed, "finalized_at": placed + timedelta(seconds=2 + number)}
            times = {"placed_at": placed, "tiktok_status": "AWAITING_SHIPMENT"} | (
                done if state in ("finalized", "shipped") else {}
            )
            plant(connection, f"57712009871{day:03}{number:04}", state, **(times | facts))
    first, second = Order.objects.filter(state=OrderState.FINALIZED)[:2]
    Order.objects.filter(pk=first.pk).update(ship_by_at=now + timedelta(hours=3))
    Order.objects.filter(pk=second.pk).update(ship_by_at=now + timedelta(hours=9))
    Parcel.objects.create(
        shop=connection.shop,
        order=first,
        fulfillment_gid="gid://1",
        number="94001",
        company="Pony",
        reason="carrier_unknown",
    )


def test_home_is_calm_and_accessible_and_checks_both_shops_on_demand(admin, world, tmp_path):
    two_weeks(world.connection)
    app = admin.open("/")
    expect(app.get_by_role("heading", name="Setup of Fig & Fleece")).to_be_visible()
    assert_accessible(admin.frame)
    admin.page.set_viewport_size({"width": 1280, "height": 2600})
    admin.look(tmp_path, "home")

    world.tiktok.take_scope("Logistics Basic")
    app.get_by_role("button", name="Check now").click()
    expect(app.get_by_role("button", name="Checking both shops…")).to_be_visible()
    drain_until(world.shop, lambda: Connection.objects.get().setup_wanted_at is None)
    expect(app.get_by_text("The platform refuses to tell").first).to_be_visible()
    app.get_by_role("button", name="Hide the steps").click()
    expect(app.get_by_text("The platform refuses to tell")).to_have_count(0)
    expect(app.get_by_text("Not ready:")).to_be_visible()


def test_a_day_is_compared_with_tiktok_while_one_looks(admin, world, tmp_path):
    two_weeks(world.connection)
    Order.objects.filter(placed_at__lt=timezone.now() - timedelta(hours=3)).delete()
    world.tiktok.webhooks.drop(1000)
    missed = world.tiktok.place_order()
    app = admin.open("/proof")
    app.get_by_role("button", name="Check against TikTok now").click()
    expect(app.get_by_text("Asking TikTok …")).to_be_visible()
    drain_until(world.shop, lambda: Audit.objects.filter(finished_at__isnull=False).exists())
    expect(app.get_by_role("row", name=f"{missed} Missing here")).to_be_visible()
    expect(app.get_by_text("It has been taken in now.")).to_be_visible()
    assert_accessible(admin.frame)
    admin.page.set_viewport_size({"width": 1280, "height": 1800})
    admin.look(tmp_path, "proof")


def test_the_diagnostics_are_a_file(admin, world, tmp_path):
    app = admin.open("/help")
    assert_accessible(admin.frame)
    with admin.page.expect_download() as waiting:
        app.get_by_role("link", name="Download the diagnostics").click()
    told = json.loads(Path(waiting.value.path()).read_text())
    assert waiting.value.suggested_filename == "tiktok-connector.json"
    assert told["store"]["domain"] == DEMO_SHOP
    admin.page.set_viewport_size({"width": 1280, "height": 1900})
    admin.look(tmp_path, "help")


def test_on_a_phone_nothing_goes_sideways(chromium, world, shopify, tmp_path):
    two_weeks(world.connection)
    page = chromium.new_page(viewport={"width": 360, "height": 780})
    for name, path in (("home", "/"), ("proof", "/proof"), ("help", "/help")):
        page.goto(shopify.app_load_url(DEMO_SHOP, path))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.screenshot(path=tmp_path / f"narrow-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    page.close()
