"""What we take from TikTok's webhooks, and what we refuse."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.http import HttpHeaders
from hypothesis import given
from hypothesis import strategies as st
from test_tiktok_signing import WEBHOOKS

from tiktok import signing, webhooks
from tiktok.errors import BadSignature, Malformed

APPS = {
    "US": {"app_key": "us-key", "app_secret": "us-secret"},
    "ROW": {"app_key": "row-key", "app_secret": "row-secret"},
}


def deliver(body, app="US"):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    keys = APPS[app]
    signature = signing.webhook_signature(keys["app_key"], keys["app_secret"], raw)
    return webhooks.parse({"Authorization": signature}, raw, APPS)


def event(kind=1, data=None, **more):
    return {
        "type": kind,
        "tts_notification_id": "7380066284010030890",
        "shop_id": "7495540735365777507",
        "timestamp": 1718305585,
        "data": {"order_id": "576653688135258178"} if data is None else data,
        **more,
    }


@pytest.mark.parametrize("name", WEBHOOKS)
def test_the_golden_webhooks_are_understood(name):
    app_key, secret, raw, signature = WEBHOOKS[name]
    apps = {"US": {"app_key": app_key, "app_secret": secret}}
    found = webhooks.parse({"Authorization": signature}, raw.encode(), apps)
    body = orjson.loads(raw)
    assert found.shop_id == body["shop_id"]
    assert found.order_id == body["data"]["order_id"]
    assert found.timestamp == datetime.fromtimestamp(body["timestamp"], tz=UTC)
    assert found.facts == body["data"]
    assert found.topic == ("CANCELLATION_STATUS_CHANGE" if name == "W3" else "ORDER_STATUS_CHANGE")


def test_the_notification_id_is_the_key():
    assert deliver(event()).key == "7380066284010030890"


def test_an_address_update_is_known_by_order_and_time():
    body = event(3, {"order_id": "576653688135258178", "update_time": 1718305590})
    del body["tts_notification_id"]
    assert deliver(body).key == "3:576653688135258178:1718305590"


def test_a_repeat_without_a_notification_id_has_the_same_key_and_another_event_another():
    body = event()
    del body["tts_notification_id"]
    assert deliver(body).key == deliver(body).key
    assert deliver(body).key != deliver(body | {"timestamp": 1718305586}).key


def test_either_registration_may_have_signed():
    assert deliver(event(), app="ROW").shop_id == "7495540735365777507"


def test_the_header_is_found_in_djangos_headers():
    raw = orjson.dumps(event())
    signature = signing.webhook_signature("us-key", "us-secret", raw)
    headers = HttpHeaders({"HTTP_AUTHORIZATION": signature})
    assert webhooks.parse(headers, raw, APPS).type == 1


@pytest.mark.parametrize("signature", ["", "0" * 64, "Bearer x", "é", "\udcff"])
def test_a_wrong_signature_is_refused(signature):
    with pytest.raises(BadSignature):
        webhooks.parse({"Authorization": signature}, orjson.dumps(event()), APPS)


def test_a_missing_signature_is_refused():
    with pytest.raises(BadSignature):
        webhooks.parse({}, orjson.dumps(event()), APPS)


def test_a_changed_byte_is_refused():
    raw = orjson.dumps(event())
    signature = signing.webhook_signature("us-key", "us-secret", raw)
    with pytest.raises(BadSignature):
        webhooks.parse({"Authorization": signature}, raw.replace(b"178", b"179"), APPS)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"",
        b"[]",
        b"null",
        b'"text"',
        event(kind="1"),
        event(kind=None),
        event(kind=True),
        event(data={}),
        event(data=[]),
        event(data={"order_id": "Jane Doe, 1 Main St"}),
        event(11, {"cancel_id": "4035"}),
    ],
)
def test_a_signed_body_of_another_shape_is_malformed(body):
    with pytest.raises(Malformed):
        deliver(body)


@pytest.mark.parametrize("told", [None, "soon"])
def test_an_event_that_names_no_time_is_of_the_time_it_came(told):
    found = deliver(event(timestamp=told))
    assert datetime.now(UTC) - found.timestamp < timedelta(minutes=1)


def test_an_unknown_type_is_an_event_without_facts():
    found = deliver(event(99, {"anything": "at all", "buyer": "Jane Doe"}))
    assert (found.type, found.topic, found.facts) == (99, "TYPE_99", {})


def test_packages_are_kept_as_ids():
    packages = [{"package_id": "11", "order_id_list": ["21", "22", "Jane Doe"]}, {"package_id": "12"}]
    found = deliver(event(4, {"sc_type": "COMBINE", "role_type": "ROLE_SELLER", "package_list": packages}))
    assert found.facts == {
        "sc_type": "COMBINE",
        "role_type": "ROLE_SELLER",
        "package_ids": ["11", "12"],
        "order_ids": ["21", "22"],
    }


@pytest.mark.parametrize("told", [1796000000, "1796000000"])
def test_the_end_of_an_authorization_is_told_as_a_time(told):
    found = deliver(event(7, {"expiration_time": told}))
    assert webhooks.grant_ends_at(found.facts) == datetime.fromtimestamp(1796000000, UTC)


@pytest.mark.parametrize("told", ["", "soon", "9" * 20, "9" * 60, -1, 0, True, None])
def test_an_end_of_an_authorization_that_is_no_time_is_none(told):
    assert webhooks.grant_ends_at(deliver(event(7, {"expiration_time": told})).facts) is None


@pytest.mark.parametrize("kind", [6, 13, 14, 33])
def test_words_of_people_are_not_kept(kind):
    data = {"message": "Jane revoked", "content": "I live at 1 Main St", "sender": {"role": "BUYER"}}
    assert deliver(event(kind, data)).facts == {}


@given(st.sampled_from(sorted(webhooks.FACTS)), st.text(min_size=1))
def test_facts_are_flags_numbers_and_single_words(kind, words):
    data = dict.fromkeys(webhooks.FACTS[kind], words.encode("utf-8", "replace").decode()) | {"order_id": "1"}
    for value in deliver(event(kind, data)).facts.values():
        assert value == [] or webhooks.WORD.fullmatch(value)
