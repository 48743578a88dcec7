"""The probe on both sandboxes over real HTTP: the facts it finds, and that it leaves a store as it was."""

import importlib
import os
import re
import signal
import threading
import time
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from graphql import parse, validate
from test_shopify_operations import DOCUMENTS, deprecated_in
from world import World

from connector.models import Connection, InboxEvent
from connector.transport import session
from shopify_app import workbench
from shopify_app.client import Operation
from shopify_app.sandbox import DEMO_SHOP
from shopify_app.sandbox.cost import requested_cost
from shopify_app.sandbox.schema import admin_schema

PROBE_DOCUMENTS = sorted((DOCUMENTS[0].parent / "probe").glob("*.graphql"))
PROBE_OPERATIONS = [
    found
    for found in vars(workbench).values()
    if isinstance(found, Operation) and found.name.startswith("probe/")
]


class Run:
    """One run of the command and what it said."""

    def __init__(self, *arguments: str, reserve: float = 2, patience: float = 5) -> None:
        out, errors = StringIO(), StringIO()
        waits = ("--reserve-seconds", str(reserve), "--patience", str(patience))
        self.refusal, self.code = "", 0
        try:
            call_command("probe", "--shop", DEMO_SHOP, *waits, *arguments, stdout=out, stderr=errors)
        except CommandError as error:
            self.refusal, self.code = str(error), error.returncode
        self.text, self.errors = out.getvalue(), errors.getvalue()

    @property
    def verdicts(self) -> dict[str, str]:
        """Fact -> verdict, as they were told one by one."""
        told = self.text.split("clearing away")[0].splitlines()
        return dict(line.rsplit(": ", 1) for line in told)


@pytest.fixture
def store(worlds):
    return development_store(worlds(easy=True))


@pytest.fixture
def hard_store(worlds):
    return development_store(worlds(easy=False))


def development_store(world: World):
    world.store.record.plan = "Development"
    return world


def is_as_before(world: World) -> bool:
    stock = {(v.available, v.reserved, v.committed) for v in world.store.variants.values()}
    live = [order for order in world.store.orders.values() if not order.cancelled_at]
    return (world.store.drafts, live, stock, world.shopify.mails) == ({}, [], {(1000, 0, 0)}, [])


def once(world: World, what: str, times: int, act) -> threading.Thread:
    """Do something as soon as the sandbox has had so many effects of a kind."""

    def watch() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end and len(world.shopify_effects(what)) < times:
            time.sleep(0.002)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


# ---- what it finds ----


def test_the_probe_finds_on_the_sandboxes_what_we_assumed(store):
    for facts in ({"lines": [("TEE-BLK-M", 2)], "hold": False}, {"lines": [("MUG-WHT", 1)]}):
        placed = store.tiktok.place_order(**facts)
    run = Run()
    assert run.verdicts == {
        "20 total of a draft with priceOverride": "same",
        "20 total of its order": "same",
        "20 one variant at two prices": "same",
        "8 tags, draft to order": "same",
        "8 note, draft to order": "same",
        "8 customAttributes of a line, draft to order": "same",
        "8 customAttributes, draft to order": "same",
        "8 poNumber, draft to order": "same",
        "9 stock during a reservation": "same",
        "9 where units are reserved": "unknown",  # the scope for it is optional
        "9 stock after its end": "same",
        "9 completing after its end": "same",
        "10 completing a sold-out variant": "same",
        "13 metafield of type id on drafts": "same",
        "13 a second draft with the same id": "same",
        "11 FIXED_AMOUNT discount on a line": "same",
        "15 draftOrderComplete and the cap of 5 a minute": "unknown",  # only when asked for
        "5 X-Shopify-Webhook-Id of a repeated delivery": "unknown",
        "TikTok shops of the token": "same",
        "TikTok order search, 30 days": "same",
        "TikTok order statuses": "same",
        "TikTok order detail, ids joined by commas": "same",
        "TikTok amounts of an order": "same",
        "TikTok recipient at ON_HOLD": "same",
        "TikTok shipping providers": "same",
        "TikTok warehouses": "same",
        "TikTok product search": "same",
        "TikTok webhooks": "same",
        "TikTok cancellation search": "same",
    }
    assert is_as_before(store)
    assert (run.refusal, run.errors) == ("", "")
    assert not personal_words(store, placed).intersection(run.text.replace(",", " ").split())
    assert store.shop.token(session()) not in run.text


def personal_words(world: World, tiktok_id: str) -> set[str]:
    buyer = world.tiktok.world.orders[tiktok_id].buyer
    values = (
        buyer.first_name,
        buyer.last_name,
        buyer.phone,
        buyer.email,
        buyer.address_line1,
        buyer.postal_code,
    )
    return set(" ".join(values).split())


def test_each_fact_stands_in_the_table_beside_what_was_assumed(store):
    rows = [line.split("  ") for line in Run("--only", "20").text.splitlines()]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["experiment", "assumed", "seen", "verdict"] in rows
    assert ["20 total of its order", "88.77", "88.77", "same"] in rows


def test_a_store_where_all_is_as_assumed_ends_with_exit_code_0(store):
    run = Run("--only", "20", "8", "11", "tiktok")
    assert (run.code, run.refusal, run.errors) == (0, "", "")
    assert is_as_before(store)


def test_a_store_that_is_otherwise_says_so_and_ends_with_exit_code_1(store):
    store.shopify.settings.change(line_attributes_carry_over=False)
    run = Run("--only", "8")
    assert run.verdicts["8 customAttributes of a line, draft to order"] == "different"
    assert (run.code, run.refusal) == (1, "1 different, 0 left behind")
    assert is_as_before(store)


def test_six_completions_within_a_minute_show_that_there_is_no_cap(store):
    run = Run("--only", "15", "--try-cap")
    assert run.verdicts == {"15 draftOrderComplete and the cap of 5 a minute": "same"}
    assert len(store.shopify_effects("order_created")) == 6
    assert is_as_before(store)


def test_a_refusal_of_the_sixth_completion_shows_the_cap(store):
    store.shopify.settings.change(latency=0.1)
    refuse = once(
        store,
        "order_created",
        5,
        lambda: store.shopify.faults.add("draftOrderComplete", "throttled"),
    )
    run = Run("--only", "15", "--try-cap")
    refuse.join()
    assert run.verdicts == {"15 draftOrderComplete and the cap of 5 a minute": "different"}
    assert "number 6 within a minute" in " ".join(run.text.split())
    assert is_as_before(store)


def test_an_early_refusal_proves_no_cap(store):
    store.shopify.faults.add("draftOrderComplete", "429")
    run = Run("--only", "15", "--try-cap")
    assert run.verdicts == {"15 draftOrderComplete and the cap of 5 a minute": "unknown"}
    assert is_as_before(store)


def test_reserved_units_are_seen_by_location_where_the_scope_is_granted(store):
    store.store.grant_scopes([*store.store.record.scopes, "read_inventory"])
    run = Run("--only", "9")
    assert run.verdicts["9 where units are reserved"] == "same"
    assert "1 of 1 locations changed: available -2," in " ".join(run.text.split())


def test_an_event_that_came_under_two_ids_is_seen(store):
    at = timezone.now()
    for key in ("first", "second"):
        InboxEvent.objects.create(
            shop=store.shop, source="shopify", key=key, topic="orders/cancelled", subject="1", triggered_at=at
        )
    assert Run("--only", "5").verdicts == {"5 X-Shopify-Webhook-Id of a repeated delivery": "different"}


def test_a_store_without_products_leaves_open_what_needs_one(store):
    for product in list(store.store.products):
        store.store.delete_product(product)
    run = Run("--only", "20", "11")
    assert run.verdicts == {"20 priceOverride": "unknown", "11 FIXED_AMOUNT discount on a line": "same"}
    assert "needs an active product" in run.text


# ---- TikTok ----


def test_without_an_order_tiktok_proves_less(store):
    verdicts = Run("--only", "tiktok").verdicts
    unproved = {name for name, verdict in verdicts.items() if verdict == "unknown"}
    assert unproved == {"TikTok order search, 30 days", "TikTok order detail", "TikTok shipping providers"}


def test_a_permission_that_is_missing_is_told_and_the_other_calls_go_on(store):
    store.tiktok.take_scope("Product Basic")
    run = Run("--only", "tiktok")
    assert run.verdicts["TikTok product search"] == "unknown"
    assert run.verdicts["TikTok webhooks"] == "same"
    assert "105005" in run.text


def test_webhooks_that_ring_elsewhere_are_told(store, settings):
    settings.APP_URL = "https://another.example.com"
    run = Run("--only", "tiktok")
    assert run.verdicts["TikTok webhooks"] == "different"
    assert "0 of 7 here, 7 elsewhere" in " ".join(run.text.split())


def test_a_store_without_a_tiktok_shop_says_so(store):
    Connection.objects.update(active=False)
    assert Run("--only", "tiktok").verdicts == {"TikTok": "unknown"}


# ---- whom it lets in ----


def test_a_store_that_is_no_development_store_is_left_alone(store):
    store.store.record.plan = "Basic"
    run = Run("--only", "20")
    assert "not a development store" in run.refusal
    assert (run.code, run.text) == (1, "")
    assert store.shopify_effects("draft_created") == []


def test_a_merchant_may_insist_on_his_live_store(store):
    store.store.record.plan = "Basic"
    run = Run("--only", "20", "--yes-this-is-my-store")
    assert run.verdicts["20 total of its order"] == "same"
    assert is_as_before(store)


@pytest.mark.django_db
def test_an_unknown_store_is_one_line():
    with pytest.raises(CommandError, match=r"^nobody\.myshopify\.com is not known here"):
        call_command("probe", "--shop", "nobody.myshopify.com")


def test_a_store_that_took_its_grant_back_is_one_line(store):
    store.store.uninstall()
    run = Run("--only", "20")
    assert "does not let us in" in run.refusal


# ---- what it leaves behind ----


@pytest.mark.parametrize("fault", ["500", "lost_reply", "timeout_before", "truncated"])
@pytest.mark.parametrize("operation", ["draftOrderCreate", "draftOrderComplete"])
def test_an_experiment_that_fails_leaves_nothing_and_the_next_goes_on(store, operation, fault):
    store.shopify.faults.add(operation, fault)
    run = Run("--only", "20", "8", patience=2)
    assert run.verdicts["20 priceOverride"] == "unknown"
    assert run.verdicts["8 note, draft to order"] == "same"
    assert is_as_before(store)


def test_a_draft_whose_creation_was_never_answered_is_found_by_its_tag(hard_store):
    hard_store.shopify.faults.add("draftOrderCreate", "lost_reply")
    run = Run("--only", "20", patience=20)
    assert run.verdicts == {"20 priceOverride": "unknown"}
    assert is_as_before(hard_store)


@pytest.mark.parametrize("operation", ["draftOrderDelete", "orderCancel", "draftOrders"])
def test_clearing_away_is_patient(store, operation):
    store.shopify.faults.add(operation, "503", times=2)
    run = Run("--only", "20")
    assert (run.code, run.errors) == (0, "")
    assert is_as_before(store)


def test_what_cannot_be_cleared_away_is_named(store):
    def ship() -> None:
        store.store.fulfill(next(iter(store.store.orders)), numbers=["9400111899223100001984"])

    shipping = once(store, "order_created", 1, ship)
    run = Run("--only", "20", "8")
    shipping.join()
    assert run.code == 1
    assert "left behind: draft gid://shopify/DraftOrder/" in run.errors
    assert "outstanding fulfillments" in run.errors


def test_what_an_earlier_run_left_is_cleared_away_too(store):
    line = {"variantId": store.store.variant("MUG-WHT").id, "quantity": 1}
    left = [store.store.create_draft(lineItems=[line], tags=["tts-probe"]) for _ in range(2)]
    store.store.complete_draft(left[0].id)
    others = store.store.create_draft(lineItems=[line], tags=["VIP"])
    Run("--only", "11")
    assert list(store.store.drafts) == [others.id]
    assert all(order.cancelled_at for order in store.store.orders.values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_clears_away_first(store, number):
    before = signal.getsignal(number)
    stop = once(store, "order_created", 1, lambda: os.kill(os.getpid(), number))
    run = Run()
    stop.join()
    assert (run.code, run.refusal) == (130, "interrupted")
    assert "TikTok" not in run.text
    assert "20 total of a draft with priceOverride" in run.text
    assert is_as_before(store)
    assert signal.getsignal(number) == before


# ---- its documents ----


@pytest.mark.parametrize("path", PROBE_DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_of_the_probe_is_valid_and_uses_nothing_deprecated(path):
    document = parse(path.read_text())
    assert validate(admin_schema(), document) == []
    assert deprecated_in(admin_schema(), document) == []


def test_every_document_of_the_probe_has_its_operation_with_its_points():
    assert {operation.name for operation in PROBE_OPERATIONS} == {
        f"probe/{path.stem}" for path in PROBE_DOCUMENTS
    }
    assert {o.name: o.cost for o in PROBE_OPERATIONS} == {
        o.name: requested_cost(o.text) for o in PROBE_OPERATIONS
    }


def test_every_function_that_the_guide_to_going_live_names_exists():
    text = (Path(settings.BASE_DIR) / "docs" / "live.md").read_text()
    named = re.findall(r"`((?:connector|shopify_app|tiktok)(?:\.\w+)+)`", text)
    assert len(named) > 60
    assert [name for name in named if not exists(name)] == []


def exists(name: str) -> bool:
    parts = name.split(".")
    found = importlib.import_module(".".join(parts[:2]))
    for part in parts[2:]:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True
