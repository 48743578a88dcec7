"""Nonsense at every door: no 500, and no row of garbage. A few examples here, `make fuzz` for tens of thousands.

Each example of a page runs in a transaction that is rolled back, so that none meets what another left behind.
"""

import base64
import hashlib
import hmac
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as sizes
from hypothesis import strategies as st

from connector.forms import PolicyForm, shown
from connector.models import Connection, Consent, InboxEvent, Order, Parcel, SkuLink
from connector.policy import Policy
from shopify_app.models import Shop
from shopify_app.webhooks import READERS, REQUIRED
from tests.test_decisions import UPS
from tests.test_doors import addresses, guarded
from tests.visits import session_token
from tiktok import signing
from tiktok.webhooks import TOPICS

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
SIZE = sizes(
    max_examples=EXAMPLES,
    deadline=timedelta(seconds=20),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    derandomize="FUZZ_EXAMPLES" not in os.environ,  # the same few in every run of the whole suite
)
DOMAIN = "fuzz.myshopify.com"
tried: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _say_how_many(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    if "FUZZ_EXAMPLES" in os.environ:
        with capsys.disabled():
            print(
                f"\n{sum(tried.values())} examples: " + ", ".join(f"{n} {door}" for door, n in tried.items())
            )


# ---- what a stranger may think of ----

ODD = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "0",
        "-1",
        "9" * 18,
        "9" * 30,
        "9" * 5000,
        "1e400",
        "NaN",
        "٣",
        "²",
        "true",
        "None",
    ),
    *(
        "' OR 1=1 --",
        "%",
        "%00",
        "\\",
        "\u202e",
        "\ud7ff",
        "𝒳",
        "=1+1",
        "../../etc/passwd",
        "<script>",
        "{{ 7 }}",
    ),
    *(
        "2026-13-45",
        "0001-01-01",
        "9999-12-31",
        "2026-11-22T00:00:00_1",
        "0001-01-01T00:00:00+14:00_1",
        "_",
        "_9",
    ),
    *(
        "9999-12-31T23:59:59-14:00_5",
        f"2026-11-22T00:00:00+00:00_{'9' * 30}",
        "gid://shopify/ProductVariant/1",
    ),
    *("gid://shopify/ProductVariant/x", "a" * 300, "tts-1", "sku:* OR id:>0", '"', "connection_paused", "on"),
)
texts = st.one_of(st.sampled_from(ODD), st.text(max_size=40), st.integers().map(str))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
FIELDS_OF_EVENTS = (
    *(
        "id",
        "order_id",
        "status",
        "tags",
        "updated_at",
        "cancelled_at",
        "financial_status",
        "current",
        "shop_id",
    ),
    *("orders_requested", "orders_to_redact", "admin_graphql_api_id"),
)
FIELDS_OF_BELLS = (
    *("order_id", "order_status", "is_on_hold_order", "update_time", "package_list", "product_id", "status"),
    *(
        "expiration_time",
        "cancel_id",
        "cancel_status",
        "cancellations_role",
        "return_id",
        "create_time",
        "sc_type",
    ),
)
plain_ids = st.one_of(st.integers(1, 10**18), st.integers(1, 10**18).map(str), values)
in_headers = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60),
    st.sampled_from(("a" * 5000, "2026-11-22T10:00:00Z", "0001-01-01T00:00:00+14:00", "carts/update")),
)


def like_a_shop(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """What ends as a shop's domain does; what reads addresses breaks at brackets, and at what normalizes to a slash."""
    return st.one_of(parts, st.sampled_from(("", "a", "a[", "a]b", "[::1]", "a@", "a:1"))).map(
        lambda part: f"{part}.myshopify.com"
    )


shops = st.one_of(texts, like_a_shop(texts), like_a_shop(st.just("a℀b")))


def some(fields: tuple[str, ...], of: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.one_of(st.sampled_from(fields), texts), of, max_size=8)


def in_bytes(bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    as_json = bodies.map(lambda body: json.dumps(body).encode("utf-8", "replace"))
    return st.one_of(as_json, as_json, as_json, st.binary(max_size=60))


# ---- webhooks ----

LABEL, IDS = re.compile(r"[\w/.-]{1,64}", re.ASCII), re.compile(r"[\w.:+/-]{0,128}", re.ASCII)


def check_events() -> None:
    """Whatever was stored says which object to look at, in short words."""
    for event in InboxEvent.objects.all():
        assert LABEL.fullmatch(event.topic), event.topic
        assert IDS.fullmatch(event.subject), event.subject
        assert len(event.key) <= 255 and event.key.isprintable()
        kept = json.dumps(event.facts)
        assert len(kept) < 2000 and "\\u0000" not in kept
        assert all(tag.startswith("tts-") for tag in event.facts.get("tags", []))
    InboxEvent.objects.all().delete()


@SIZE
@given(
    body=in_bytes(st.one_of(some(FIELDS_OF_EVENTS, plain_ids), values)),
    topic=st.one_of(st.sampled_from(sorted(READERS)), in_headers),
    odd=st.dictionaries(st.sampled_from((*REQUIRED, "X-Shopify-Triggered-At")), in_headers, max_size=2),
    domain=st.one_of(st.just(DOMAIN), st.just(DOMAIN), like_a_shop(in_headers)),
    signed=st.integers(0, 9).map(bool),
)
def test_whatever_shopify_or_a_stranger_posts(transactional_db, body, topic, odd, domain, signed):
    tried["webhooks of Shopify"] += 1
    Shop.objects.get_or_create(domain=DOMAIN)
    secret = settings.SHOPIFY_API_SECRET if signed else "another"
    told = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": base64.b64encode(
            hmac.digest(secret.encode(), body, hashlib.sha256)
        ).decode(),
        "X-Shopify-Shop-Domain": domain,
        "X-Shopify-API-Version": "2026-10",
        "X-Shopify-Webhook-Id": "w-1",
    }
    answer = Client().post("/webhooks/shopify", body, content_type="application/json", headers=told | odd)
    assert answer.status_code in (200, 400, 401)
    assert answer.status_code == 200 or not InboxEvent.objects.exists()
    assert signed or answer.status_code != 200
    check_events()


@SIZE
@given(
    raw=st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(st.sampled_from(sorted(TOPICS)), values),
            "tts_notification_id": st.one_of(st.just("n-1"), values),
            "shop_id": st.one_of(st.just("7"), values),
            "timestamp": st.one_of(st.just(1718305585), values),
            "data": st.one_of(some(FIELDS_OF_BELLS, plain_ids), values),
        },
    ),
    junk=st.one_of(st.none(), st.none(), st.binary(max_size=60), in_bytes(values)),
    signed=st.integers(0, 9).map(bool),
)
def test_whatever_tiktok_or_a_stranger_posts(transactional_db, raw, junk, signed):
    tried["webhooks of TikTok"] += 1
    body = json.dumps(raw).encode("utf-8", "replace") if junk is None else junk
    app = settings.TIKTOK_APPS["US"]
    secret = app["app_secret"] if signed else "another"
    answer = Client().post(
        "/webhooks/tiktok",
        body,
        content_type="application/json",
        headers={"Authorization": signing.webhook_signature(app["app_key"], secret, body)},
    )
    assert answer.status_code == (200 if signed else 401)
    assert signed or not InboxEvent.objects.exists()
    check_events()


# ---- TikTok's return, and whatever else comes without a token that proves anything ----

OPEN_PATHS = (
    "/tiktok/callback",
    "/auth/session-token",
    "/healthz",
    "/readyz",
    "/statusz",
    "/metrics",
    "/nowhere",
)
GUARDED_PATHS = sorted("/" + re.sub(r"<\w+:\w+>", "1", str(route.pattern)) for route in guarded())


@SIZE
@given(
    path=st.one_of(st.sampled_from(OPEN_PATHS), st.sampled_from(OPEN_PATHS), st.sampled_from(GUARDED_PATHS)),
    query=st.dictionaries(
        st.one_of(st.sampled_from(("code", "state", "error", "shopify-reload", "id_token")), texts),
        texts,
        max_size=5,
    ),
    shop=st.one_of(st.none(), shops, shops),
    method=st.sampled_from(("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "DELETE")),
    authorization=in_headers,
)
def test_whatever_comes_without_a_session(transactional_db, path, query, shop, method, authorization):
    tried["all addresses without a session"] += 1
    query = query if shop is None else query | {"shop": shop}
    with transaction.atomic():
        answer = Client().generic(
            method, f"{path}?{in_query(query)}", headers={"Authorization": authorization}
        )
        assert answer.status_code in (200, 302, 400, 401, 404, 405)
        assert not answer.cookies
        where = answer.get("Location", "/")
        assert where.startswith(("/auth/session-token", settings.SHOPIFY_ADMIN_URL)) or where == "/"
        for consent in Consent.objects.all():
            assert len(consent.code_sealed) < 2000 and consent.ticket.isalnum()
        transaction.set_rollback(True)


def in_query(query: dict[str, str]) -> str:
    return urlencode(query, errors="replace")


# ---- every page, with every field that any page reads ----


def known_fields() -> list[str]:
    """Read out of the code and the templates, so that a new field is tried by itself."""
    code = "".join(path.read_text() for path in sorted((PROJECT / "connector").rglob("*.py")))
    pages = "".join(path.read_text() for path in sorted((PROJECT / "templates").rglob("*.html")))
    read = re.findall(r"(?:GET|POST|query|form|FILES)\.(?:get|getlist)\(\s*\"(\w+)\"", code)
    return sorted({*read, *re.findall(r'\bname="(\w+)"', pages), *PolicyForm.base_fields})


FIELDS = known_fields()
UNCHANGED = (
    "Shop",
    "Seller",
    "Connection",
    "Order",
    "OrderLine",
    "Parcel",
    "InboxEvent",
    "Consent",
    "SkuLink",
)
MULTIPART = "multipart/form-data; boundary=b"
in_forms = st.dictionaries(
    st.one_of(st.sampled_from(FIELDS), st.sampled_from(FIELDS), texts),
    st.lists(texts, max_size=3),
    max_size=8,
)
bodies = st.one_of(
    in_forms.map(
        lambda form: (
            urlencode(form, doseq=True, errors="replace").encode(),
            "application/x-www-form-urlencoded",
        )
    ),
    in_forms.map(
        lambda form: (b"".join(in_part(k, v) for k, vs in form.items() for v in vs) + b"--b--\r\n", MULTIPART)
    ),
    st.binary(max_size=200).map(
        lambda file: (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
            + file
            + b"\r\n--b--\r\n",
            MULTIPART,
        )
    ),
    st.tuples(
        st.binary(max_size=100), st.sampled_from((MULTIPART, "multipart/form-data", "application/json", "x"))
    ),
)


def in_part(name: str, value: str) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{quote(name)}"\r\n\r\n{value}\r\n'
    return head.encode("utf-8", "replace")


@pytest.fixture
def planted(world):
    """The sandboxes' shop with an order, a parcel, a held order and TikTok's catalogue."""
    shipped = world.finalized()
    world.store.fulfill(shipped.order_gid, company="UPS", numbers=[UPS])
    world.settle()
    world.placed()
    return {
        "connection_id": world.connection,
        "order_id": shipped,
        "parcel_id": Parcel.objects.get(),
        "sku_key": SkuLink.objects.order_by("pk").first(),
        "domain": world.shop.domain,
    }


def counts() -> dict[str, int]:
    models = [
        model
        for app in ("tiktok", "shopify_app", "connector")
        for model in apps.get_app_config(app).get_models()
    ]
    return {f"{model._meta.label}": model.objects.count() for model in models if model.__name__ in UNCHANGED}


def test_whatever_a_visitor_types_or_sends(planted):
    paths = sorted({path for route in guarded() for path in addresses(route, planted)})
    strange = [route for route in guarded() if route.pattern.converters]
    before = counts()

    @SIZE
    @given(
        path=st.one_of(
            st.sampled_from(paths),
            st.sampled_from(paths),
            st.tuples(st.sampled_from(strange), st.lists(texts, min_size=2, max_size=2)).map(with_odd_parts),
        ),
        method=st.sampled_from(("GET", "GET", "POST", "POST", "HEAD", "PUT")),
        query=in_forms,
        real=st.booleans(),
        body=bodies,
        fetched=st.booleans(),
    )
    def visit(path, method, query, real, body, fetched):
        tried["pages and forms"] += 1
        if real:
            query = query | {"connection": [str(planted["connection_id"].pk)]}
        token = session_token(planted["domain"])
        headers = {"Authorization": f"Bearer {token}"} | ({"HX-Request": "true"} if fetched else {})
        content, kind = body if method == "POST" else (b"", "text/plain")
        address = f"{path}?{urlencode(query, doseq=True, errors='replace')}"
        with transaction.atomic():
            answer = Client().generic(method, address, content, content_type=kind, headers=headers)
            if answer.streaming:
                answer.getvalue()
            assert answer.status_code < 500, f"{answer.status_code} {method} {address} {content!r}"
            assert counts() == before
            check_rows()
            transaction.set_rollback(True)

    visit()


TOO_LONG = ("9" * 30, "9" * 5000, f"2026-11-22T00:00:00+00:00_{'9' * 5000}")  # for a key, and for int()


@pytest.mark.parametrize("number", TOO_LONG, ids=["for a key", "for int", "in a cursor"])
def test_a_number_too_long_in_every_field_of_every_page(planted, number):
    """One field in a thousand examples reads a number; here each is given one."""
    before = counts()
    headers = {"Authorization": f"Bearer {session_token(planted['domain'])}"}
    mine = {"connection": str(planted["connection_id"].pk)}
    for path in sorted({path for route in guarded() for path in addresses(route, planted)}):
        for fields in (dict.fromkeys(FIELDS, number), dict.fromkeys(FIELDS, number) | mine):
            for answer in tried_both_ways(path, fields, headers):
                assert answer.status_code < 500, path
    assert counts() == before


def tried_both_ways(path: str, fields: dict[str, str], headers: dict[str, str]) -> Iterator[Any]:
    for call in (Client().get, Client().post):
        with transaction.atomic():
            yield call(path, fields, headers=headers)
            transaction.set_rollback(True)


def with_odd_parts(drawn: tuple[Any, list[str]]) -> str:
    route, odd = drawn
    parts = iter(odd)
    return "/" + re.sub(
        r"<[^>]+>", lambda _: quote(next(parts, ""), safe="", errors="replace"), str(route.pattern)
    )


def check_rows() -> None:
    """A form that was taken holds what the form itself takes; a row of work has a state and a reason that exist."""
    for connection in Connection.objects.all():
        typed = shown(Policy.from_json(connection.settings)) | {"connection": connection.pk}
        form = PolicyForm(connection, {name: value for name, value in typed.items() if value is not False})
        assert form.is_valid(), form.errors
    for order in Order.objects.all():
        assert order.tiktok_id.isdecimal()
    for parcel in Parcel.objects.all():
        assert parcel.number.isalnum() and len(parcel.number) <= 64
