"""TikTok's request and webhook signatures, pinned by vectors that come from outside."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok import signing

SECRET = "e59af819cc"
JSON = "application/json"
KEYS = {"app_key": "68xu9ks5p4i8", "timestamp": "1696909648"}
SHOP = KEYS | {"shop_cipher": "ROW_xkMbgAAAeVAQra0eZWebFQq5aIK"}

# S1 is TikTok's published golden value, S8 the one of EcomPHP's unit test; on the others two independent
# implementations agree.
REQUESTS = {
    "S1": (
        SECRET,
        "/authorization/202309/shops",
        {"app_key": "29a39d", "timestamp": "1623812664"},
        "",
        JSON,
        "b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8",
    ),
    "S2": (
        SECRET,
        "/order/202309/orders/search",
        SHOP
        | {"page_size": "50", "sort_field": "update_time", "sort_order": "ASC"}
        | {"access_token": "never signed", "sign": "never signed", "x-tts-access-token": "never signed"},
        '{"order_status":"AWAITING_SHIPMENT","update_time_ge":1696900000}',
        JSON,
        "3d5d60e0d11d5355c37d81deed6c5983ce97d970f384e02719930c2760f3e897",
    ),
    "S3": (
        SECRET,
        "/product/202309/images/upload",
        KEYS,
        "--xyz the file",
        "multipart/form-data; boundary=xyz",
        "59c0e27af52d8d4cb8ab324f9e2f0a499557a320c3ff45627c14de243a731d8b",
    ),
    "S4": (
        SECRET,
        "/fulfillment/202309/orders/576461413038785752/packages",
        SHOP,
        '{"tracking_number":"9400111899223100001984","shipping_provider_id":"7117858858072016686"}',
        JSON,
        "20ff81108301603db15bca58234bacb0f1492f0ecbccddd710fd6f87b2648623",
    ),
    "S5": (
        SECRET,
        "/order/202507/orders",
        SHOP | {"ids": "576461413038785752,576461413038785753"},
        "",
        JSON,
        "b97f28a073d68b4025d1ae615a46e00c74339730af691bad43b699f912137e1a",
    ),
    "S6": (
        SECRET,
        "/event/202309/webhooks",
        SHOP,
        '{"address":"https://partner.tiktokshop.com","event_type":"PACKAGE_UPDATE"}',
        JSON,
        "cd0d6268252f4ba293bf7ea4c0a2873bf9beec600d22530638564ab301435f7a",
    ),
    "S7": (
        SECRET,
        "/return_refund/202309/cancellations/4035000000000000001/reject",
        SHOP,
        '{"reject_reason":"seller_reject_apply_product_has_been_packed","comment":"déjà expédié"}',
        JSON,
        "5e2473a34ff45585ade11029cb65bd7cd84dff407a3e8b05345aae0e25cc41ee",
    ),
    "S8": (
        "app_secret",
        "/test-api",
        {"foo": "bar"},
        "",
        "",
        "d3cb7fe11ecae942802ceeca67e7cf10120cc12f1517d45fbc1c8cfe5413c80f",
    ),
}

# W1 is TikTok's published golden value.
WEBHOOKS = {
    "W1": (
        "abcdef",
        "123",
        '{"type":1,"tts_notification_id":"7380066284010030890","shop_id":"7495540735365777507",'
        '"timestamp":1718305585,"data":{"is_on_hold_order":true,"order_id":"576653688135258178",'
        '"order_status":"UNPAID","update_time":1718305585}}',
        "5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05",
    ),
    "W2": (
        "fake_app_key",
        "fake_app_secret",
        '{"type":1,"shop_id":"7494726673780148744","timestamp":1664095733,'
        '"data":{"order_id":"576684019603311365","order_status":"AWAITING_SHIPMENT",'
        '"update_time":1664095610}}',
        "21109834de72ec53c9959716d8514ae388ce1f123e5ffdcafc46713fcdf62b27",
    ),
    "W3": (
        "68xu9ks5p4i8",
        "e59af819cc",
        '{"type":11,"tts_notification_id":"7559000000000000001","shop_id":"7495540735365777507",'
        '"timestamp":1763700000,"data":{"order_id":"576653688135258178","cancellations_role":"BUYER",'
        '"cancel_status":"CANCELLATION_REQUEST_COMPLETE","cancel_id":"4035000000000000001",'
        '"create_time":1763699990}}',
        "b96cd9eabfc4951b4077f4036d0347fbc0a2ac1d4f02255ad704ab8116fbd805",
    ),
}

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
PARAMS = st.dictionaries(TEXT, TEXT, max_size=6)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_signed_as_the_golden_vector_says(name):
    secret, path, params, body, content_type, expected = REQUESTS[name]
    assert signing.sign(secret, path, params, body.encode(), content_type) == expected


@pytest.mark.parametrize("name", WEBHOOKS)
def test_a_webhook_is_signed_as_the_golden_vector_says(name):
    app_key, secret, raw, expected = WEBHOOKS[name]
    assert signing.webhook_signature(app_key, secret, raw.encode()) == expected


@given(PARAMS, st.randoms(use_true_random=False))
def test_the_order_of_the_parameters_does_not_matter(params, random):
    shuffled = list(params.items())
    random.shuffle(shuffled)
    assert sign(params=params) == sign(params=dict(shuffled))


@given(PARAMS, TEXT)
def test_the_signature_and_the_token_are_not_signed(params, value):
    more = params | dict.fromkeys(("sign", "access_token", "x-tts-access-token"), value)
    less = {key: params[key] for key in params if key not in signing.NOT_SIGNED}
    assert sign(params=more) == sign(params=less)


@given(st.binary(), st.binary())
def test_every_byte_of_the_body_is_signed(one, other):
    assert (sign(body=one) == sign(body=other)) == (one == other)


@given(st.binary())
def test_the_body_of_an_upload_is_not_signed(body):
    upload = "multipart/form-data; boundary=x"
    assert sign(body=body, content_type=upload) == sign(body=b"", content_type=upload)


@given(PARAMS, st.binary(), TEXT)
def test_decoded_values_are_signed_byte_for_byte(params, body, secret):
    kept = {key: value for key, value in params.items() if key not in signing.NOT_SIGNED}
    joined = b"".join(key + value for key, value in sorted((k.encode(), v.encode()) for k, v in kept.items()))
    message = secret.encode() + b"/path" + joined + body + secret.encode()
    expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    assert signing.sign(secret, "/path", params, body, JSON) == expected


def sign(params=None, body=b"", content_type=JSON):
    return signing.sign(SECRET, "/path", params or {}, body, content_type)
