"""Getting, keeping and losing a seller's tokens."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import requests
from cryptography.fernet import Fernet, MultiFernet
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from scripted import ScriptedServer

from tiktok import oauth
from tiktok.client import Client, get_shops
from tiktok.errors import AccessLost, Rejected, Unavailable
from tiktok.models import REFRESH_LEASE, Seller, Shop, seal, unseal
from tiktok.records import AuthorizedShop, Tracking
from tiktok.scopes import NEEDED

WEEK = timedelta(days=7)
YEAR = timedelta(days=365)


@pytest.fixture
def tiktok(settings):
    with ScriptedServer() as server:
        us = {"app_key": "us-key", "app_secret": "us-secret", "service_id": "7001"}
        row = {"app_key": "row-key", "app_secret": "row-secret", "service_id": "7002"}
        urls = {"api_url": server.url, "auth_url": server.url}
        settings.TIKTOK_APPS = {
            "US": us | urls | {"consent_url": "https://services.us.example.com/open/authorize"},
            "ROW": row | urls | {"consent_url": "https://services.example.com/open/authorize"},
        }
        yield server


@pytest.fixture
def http():
    with requests.Session() as session:
        yield session


def pair(number=2, lives=WEEK, **more):
    """The `data` of a token answer."""
    now = timezone.now()
    return {
        "access_token": f"access-{number}",
        "access_token_expire_in": int((now + lives).timestamp()),
        "refresh_token": f"refresh-{number}",
        "refresh_token_expire_in": int((now + YEAR).timestamp()),
        "open_id": "open-1",
        "seller_name": "Socks & Co",
        "seller_base_region": "US",
        "user_type": 0,
        "granted_scopes": ["seller.order.info", "seller.fulfillment.basic"],
        **more,
    }


def make_seller(lives=WEEK, age=timedelta(0), **more):
    now = timezone.now()
    return Seller.objects.create(
        **{
            "app": "US",
            "open_id": "open-1",
            "name": "Socks & Co",
            "access_token_sealed": seal("access-1"),
            "access_expires_at": now + lives,
            "refresh_token_sealed": seal("refresh-1"),
            "refresh_expires_at": now + YEAR,
            "granted_at": now - age,
            **more,
        }
    )


def make_due_seller(**more):
    """23 hours to live, of seven days."""
    return make_seller(lives=timedelta(hours=23), age=WEEK, **more)


def make_dead_seller(**more):
    return make_seller(lives=-timedelta(seconds=1), age=WEEK, **more)


# Consent


def test_the_consent_link_carries_service_and_state(tiktok):
    assert oauth.consent_url("ROW", "a&b") == (
        "https://services.example.com/open/authorize?service_id=7002&state=a%26b"
    )


def test_a_code_becomes_tokens_with_moments_of_expiry(tiktok, http):
    tiktok.will_say(pair(access_token_expire_in=1795262400))
    grant = oauth.exchange("ROW", "ROW_code", http)
    assert grant.access_expires_at == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert (grant.open_id, grant.name, grant.region) == ("open-1", "Socks & Co", "US")
    assert grant.scopes == ("seller.order.info", "seller.fulfillment.basic")
    asked = tiktok.asked[0]
    assert (asked.method, asked.path) == ("GET", "/api/v2/token/get")
    assert asked.query == {
        "app_key": "row-key",
        "app_secret": "row-secret",
        "auth_code": "ROW_code",
        "grant_type": "authorized_code",
    }
    assert "access-2" not in repr(grant) and "refresh-2" not in repr(grant)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"user_type": 1}, Rejected),
        ({"user_type": 3}, Rejected),
        ({"open_id": ""}, Rejected),
        ({"access_token": ""}, Unavailable),
        ({"refresh_token": None}, Unavailable),
        ({"access_token_expire_in": 0}, Unavailable),
    ],
)
def test_a_grant_that_is_no_sellers_or_not_whole_is_refused(tiktok, http, answer, expected):
    tiktok.will_say(pair() | answer)
    with pytest.raises(expected):
        oauth.exchange("US", "TTP_code", http)


def test_a_used_code_is_rejected_with_tiktoks_words(tiktok, http):
    tiktok.will_say({}, code=36004004, message="auth code is invalid")
    with pytest.raises(Rejected) as caught:
        oauth.exchange("US", "TTP_code", http)
    assert caught.value.public == "TikTok 36004004: auth code is invalid (request req-1)"


@pytest.mark.parametrize("answer", ["drop", "500", "no_json", "rejected"])
def test_no_secret_shows_when_the_token_call_fails(tiktok, http, caplog, answer):
    caplog.set_level(logging.DEBUG, logger="tiktok")
    if answer == "drop":
        tiktok.will_drop()
    elif answer == "rejected":
        tiktok.will_say(code=36004004, message="no")
    else:
        tiktok.will_answer(500 if answer == "500" else 200, b"<html>")
    with pytest.raises((Unavailable, Rejected)) as caught:
        oauth.refresh("US", "refresh-1", http)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    shown += "".join(str(vars(record)) for record in caplog.records)
    for secret in ("us-secret", "refresh-1", "app_secret", "127.0.0.1"):
        assert secret not in shown.replace('oauth.refresh("US", "refresh-1", http)', "")


# Storing


@pytest.mark.django_db
def test_a_consent_stores_seller_and_shops_and_a_second_one_replaces_them(tiktok, http):
    tiktok.will_say(pair(1))
    shop = AuthorizedShop(id="74", name="Socks", region="US", seller_type="LOCAL", cipher="c1", code="US1")
    seller = Seller.connect("US", oauth.exchange("US", "TTP_code", http), [shop])
    seller.revoke()

    tiktok.will_say(pair(2))
    fresh = AuthorizedShop(id="74", name="Socks", region="US", seller_type="LOCAL", cipher="c2", code="US1")
    again = Seller.connect("US", oauth.exchange("US", "TTP_other", http), [fresh])
    assert again.pk == seller.pk
    assert again.access_token() == "access-2"
    assert again.scopes == "seller.order.info,seller.fulfillment.basic"
    assert [(shop.shop_id, shop.cipher) for shop in again.shops.all()] == [("74", "c2")]


@pytest.mark.django_db
def test_tokens_are_encrypted_at_rest():
    make_seller()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tiktok_seller::text FROM tiktok_seller")
        stored = cursor.fetchone()[0]
    assert "access-1" not in stored and "refresh-1" not in stored


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (list(NEEDED), []),
        (list(NEEDED)[1:], ["Shop Authorized Information"]),
        ([], ["Order Information"]),  # TikTok lists none: what it said before stands
    ],
)
def test_permissions_that_were_not_given_are_named_as_tiktok_said_last(tiktok, http, given, missing):
    seller = make_seller(scopes=",".join(scope for scope in NEEDED if scope != "seller.order.info"))
    assert seller.missing_scopes == ["Order Information"]
    tiktok.will_say(pair(granted_scopes=given))
    seller.access_token(http, refused=seller.token)
    assert Seller.objects.get().missing_scopes == missing


def test_a_seller_whose_permissions_tiktok_does_not_list_is_not_short_of_any():
    assert Seller(scopes="").missing_scopes == []


@pytest.mark.django_db
def test_a_seller_exists_once_per_registration():
    make_seller()
    make_seller(app="ROW")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_seller()


@pytest.mark.django_db
def test_a_token_that_no_key_opens_is_lost_access():
    seller = make_seller(access_token_sealed="gAAAAAB-not-ours")
    with pytest.raises(AccessLost):
        seller.access_token()


# Refreshing


@pytest.mark.django_db
def test_a_token_with_more_than_a_day_to_live_is_used_without_a_call_or_a_query(
    tiktok, django_assert_num_queries
):
    seller = make_seller(lives=timedelta(hours=25), age=WEEK)
    with django_assert_num_queries(0):
        assert seller.access_token() == "access-1"
    assert tiktok.asked == []


@pytest.mark.django_db
def test_a_token_is_refreshed_a_day_early_and_the_pair_is_stored(tiktok, http):
    seller = make_due_seller()
    tiktok.will_say(pair(2))
    assert seller.access_token(http) == "access-2"
    assert tiktok.asked[0].path == "/api/v2/token/refresh"
    assert tiktok.asked[0].query == {
        "app_key": "us-key",
        "app_secret": "us-secret",
        "refresh_token": "refresh-1",
        "grant_type": "refresh_token",
    }
    stored = Seller.objects.get()
    assert unseal(stored.refresh_token_sealed) == "refresh-2"
    assert unseal(stored.previous_refresh_token_sealed) == "refresh-1"
    assert stored.refreshing_until is None
    assert stored.access_token(http) == "access-2"
    assert len(tiktok.asked) == 1


@pytest.mark.django_db
def test_a_short_lived_token_is_not_refreshed_with_every_call(tiktok, http):
    seller = make_seller(lives=timedelta(hours=1))
    assert seller.access_token(http) == "access-1"
    assert tiktok.asked == []


@pytest.mark.django_db
def test_a_refresh_token_that_stays_the_same_is_kept(tiktok, http):
    seller = make_due_seller()
    tiktok.will_say(pair(2, refresh_token="refresh-1"))
    assert seller.access_token(http) == "access-2"
    assert unseal(Seller.objects.get().refresh_token_sealed) == "refresh-1"


@pytest.mark.django_db
def test_a_stale_copy_of_the_row_reads_before_it_refreshes(tiktok, http):
    make_due_seller()
    stale = Seller.objects.get()
    tiktok.will_say(pair(2))
    Seller.objects.get().access_token(http)
    assert stale.access_token(http) == "access-2"
    assert len(tiktok.asked) == 1


@pytest.mark.django_db
def test_while_one_refreshes_the_others_go_on_with_the_living_token(tiktok, http):
    seller = make_due_seller(refreshing_until=timezone.now() + REFRESH_LEASE)
    assert seller.access_token(http) == "access-1"
    assert tiktok.asked == []


@pytest.mark.django_db
def test_a_lease_that_ran_out_is_taken_over(tiktok, http):
    seller = make_dead_seller(refreshing_until=timezone.now() - timedelta(seconds=1))
    tiktok.will_say(pair(2))
    assert seller.access_token(http) == "access-2"


def six_at_once(ask: Callable[[], str], gate: threading.Event) -> list[str]:
    """What each of six threads was told; TikTok's answer waits at the gate until all of them have asked."""
    found = []

    def work():
        try:
            found.append(ask())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    timer = threading.Timer(0.3, gate.set)
    timer.start()
    for thread in [*threads, timer]:
        thread.join()
    return found


@pytest.mark.django_db(transaction=True)
def test_one_of_many_refreshes_a_dead_token_and_the_others_wait_for_it(tiktok, http):
    make_dead_seller()
    gate = threading.Event()
    tiktok.will_say(pair(2), gate=gate)
    found = six_at_once(lambda: Seller.objects.get().access_token(http), gate)
    assert found == ["access-2"] * 6
    assert len(tiktok.asked) == 1


@pytest.mark.django_db
def test_waiting_for_a_refresher_that_never_comes_back_ends_after_five_seconds(tiktok, http):
    began = time.monotonic()
    seller = make_dead_seller(refreshing_until=timezone.now() + REFRESH_LEASE)
    with pytest.raises(Unavailable) as caught:
        seller.access_token(http)
    assert caught.value.retry_after
    assert 5 <= time.monotonic() - began < 7
    assert tiktok.asked == []


@pytest.mark.django_db
def test_a_failed_early_refresh_goes_on_with_the_living_token_and_rests(tiktok, http):
    seller = make_due_seller()
    tiktok.will_drop()
    assert seller.access_token(http) == "access-1"
    assert seller.access_token(http) == "access-1"
    assert len(tiktok.asked) == 1


@pytest.mark.django_db
def test_a_refused_early_refresh_goes_on_with_the_living_token(tiktok, http):
    seller = make_due_seller()
    tiktok.will_say(code=36004009, message="refresh token is invalid")
    assert seller.access_token(http) == "access-1"


@pytest.mark.django_db
def test_a_failed_refresh_of_a_dead_token_may_be_tried_again_at_once(tiktok, http):
    seller = make_dead_seller()
    tiktok.will_drop()
    tiktok.will_say(pair(2))
    with pytest.raises(Unavailable):
        seller.access_token(http)
    assert seller.access_token(http) == "access-2"


@pytest.mark.django_db
def test_a_refused_refresh_of_a_dead_token_is_lost_access(tiktok, http):
    seller = make_dead_seller()
    tiktok.will_say(code=36004009, message="refresh token is invalid")
    with pytest.raises(AccessLost) as caught:
        seller.access_token(http)
    assert (caught.value.code, caught.value.request_id) == ("36004009", "req-1")


@pytest.mark.django_db
def test_the_former_refresh_token_helps_when_the_present_one_never_worked(tiktok, http):
    seller = make_dead_seller(previous_refresh_token_sealed=seal("refresh-0"))
    tiktok.will_say(code=36004009, message="refresh token is invalid")
    tiktok.will_say(pair(2))
    assert seller.access_token(http) == "access-2"
    assert [asked.query["refresh_token"] for asked in tiktok.asked] == ["refresh-1", "refresh-0"]
    assert unseal(Seller.objects.get().previous_refresh_token_sealed) == "refresh-0"


@pytest.mark.django_db
def test_a_consent_that_comes_while_we_refresh_wins(tiktok, http):
    seller = make_due_seller()
    tiktok.will_say(pair(2))
    assert seller.claim_refresh()
    Seller.objects.update(
        refresh_token_sealed=seal("consent"),
        access_token_sealed=seal("access-of-the-consent"),
        access_expires_at=timezone.now() + WEEK,
    )
    assert seller.refresh(http, "") == "access-of-the-consent"
    assert unseal(Seller.objects.get().refresh_token_sealed) == "consent"


@pytest.mark.django_db
def test_a_revoked_grant_is_forgotten_and_says_so(tiktok, http):
    seller = make_seller()
    seller.revoke()
    for row in (seller, Seller.objects.get()):
        with pytest.raises(AccessLost) as caught:
            row.access_token(http)
    assert "connect again" in caught.value.public
    assert Seller.objects.get().refresh_token_sealed == ""
    assert tiktok.asked == []


@pytest.mark.django_db
def test_a_revocation_is_seen_by_a_row_that_was_loaded_before(tiktok, http):
    make_due_seller()
    loaded = Seller.objects.get()
    Seller.objects.get().revoke()
    with pytest.raises(AccessLost):
        loaded.access_token(http)
    assert tiktok.asked == []


# Through the client


def make_client(http, seller):
    return Client(Shop(seller=seller, shop_id="74", cipher="c1"), http)


@pytest.mark.django_db
def test_a_token_that_tiktok_refuses_is_refreshed_once_and_the_call_repeated_once(tiktok, http):
    calls = make_client(http, make_seller())
    tiktok.will_say(code=105002, message="access token expired", status=401)
    tiktok.will_say(pair(2))
    tiktok.will_say({"orders": [{"id": "57"}]})
    assert calls.get_order("57").id == "57"
    assert [asked.headers.get("x-tts-access-token") for asked in tiktok.asked] == [
        "access-1",
        None,
        "access-2",
    ]


@pytest.mark.django_db
def test_a_fresh_token_that_is_refused_too_is_lost_access(tiktok, http):
    calls = make_client(http, make_seller())
    tiktok.will_say(code=36009004, message="Invalid access token", status=401)
    tiktok.will_say(pair(2))
    tiktok.will_say(code=36009004, message="Invalid access token", status=401)
    with pytest.raises(AccessLost):
        calls.get_order("57")
    assert len(tiktok.asked) == 3


@pytest.mark.django_db
def test_a_refused_token_that_another_worker_has_replaced_costs_no_refresh(tiktok, http):
    loaded = make_seller()
    Seller.objects.update(access_token_sealed=seal("access-2"))
    tiktok.will_say(code=105002, message="access token expired", status=401)
    tiktok.will_say({"orders": []})
    assert make_client(http, loaded).get_order("57") is None
    assert [asked.path for asked in tiktok.asked] == ["/order/202507/orders"] * 2


@pytest.mark.django_db
def test_a_missing_scope_is_not_a_reason_to_refresh(tiktok, http):
    tiktok.will_say(code=105005, message="scope missing", status=401)
    with pytest.raises(AccessLost):
        make_client(http, make_seller()).get_order("57")
    assert len(tiktok.asked) == 1


def make_shop(seller, shop_id="74", cipher="c1"):
    return Shop.objects.create(seller=seller, shop_id=shop_id, cipher=cipher)


def will_refuse_the_cipher(tiktok, **more):
    tiktok.will_say(code=101000, message="token and shop do not belong together", status=401, **more)


def will_name_shops(tiktok, **more):
    shops = [{"id": "74", "cipher": "c2"}, {"id": "75", "cipher": "d2"}, {"id": "76", "cipher": "e2"}]
    tiktok.will_say({"shops": shops}, **more)


def ciphers(tiktok):
    return [asked.query.get("shop_cipher") for asked in tiktok.asked]


@pytest.mark.django_db
def test_a_cipher_that_tiktok_refuses_is_fetched_once_for_all_shops_and_the_call_repeated_once(tiktok, http):
    seller = make_seller()
    shop, other = make_shop(seller), make_shop(seller, "75", "d1")
    will_refuse_the_cipher(tiktok)
    will_name_shops(tiktok)
    tiktok.will_say({"orders": [{"id": "57"}]})
    assert Client(shop, http).get_order("57").id == "57"
    assert ciphers(tiktok) == ["c1", None, "c2"]
    other.refresh_from_db()
    assert (shop.cipher, other.cipher) == ("c2", "d2")
    assert Seller.objects.get().refreshing_until is None


@pytest.mark.django_db
def test_a_new_cipher_that_is_refused_too_is_lost_access(tiktok, http):
    shop = make_shop(make_seller())
    will_refuse_the_cipher(tiktok)
    will_name_shops(tiktok)
    will_refuse_the_cipher(tiktok)
    with pytest.raises(AccessLost):
        Client(shop, http).get_order("57")
    assert ciphers(tiktok) == ["c1", None, "c2"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "shops",
    [[], [{"id": "74", "cipher": "c1"}], [{"id": "75", "cipher": "d2"}]],
    ids=["none", "same", "other"],
)
def test_a_shop_that_the_grant_no_longer_opens_is_lost_access(tiktok, http, shops):
    shop = make_shop(make_seller())
    will_refuse_the_cipher(tiktok)
    tiktok.will_say({"shops": shops})
    with pytest.raises(AccessLost, match="connect TikTok again"):
        Client(shop, http).get_order("57")
    assert ciphers(tiktok) == ["c1", None]


@pytest.mark.django_db
def test_shops_that_tiktok_refuses_to_name_are_lost_access(tiktok, http):
    shop = make_shop(make_seller())
    will_refuse_the_cipher(tiktok)
    tiktok.will_say(code=36009010, message="bad method")
    with pytest.raises(AccessLost) as caught:
        Client(shop, http).get_order("57")
    assert caught.value.code == "101000"


@pytest.mark.django_db
def test_shops_that_nobody_answered_for_are_not_lost_access_and_the_refused_write_has_not_acted(tiktok, http):
    shop = make_shop(make_seller())
    will_refuse_the_cipher(tiktok)
    tiktok.will_drop()
    with pytest.raises(Unavailable) as caught:
        Client(shop, http).ship("57", [], [Tracking("1Z", "1")])
    assert not caught.value.may_have_acted
    assert Shop.objects.get().cipher == "c1" and Seller.objects.get().refreshing_until is None


@pytest.mark.django_db
def test_a_refused_cipher_that_a_consent_has_replaced_costs_no_call(tiktok, http):
    shop = make_shop(make_seller())
    Shop.objects.update(cipher="c2")
    will_refuse_the_cipher(tiktok)
    tiktok.will_say({"orders": []})
    assert Client(shop, http).get_order("57") is None
    assert ciphers(tiktok) == ["c1", "c2"]


@pytest.mark.django_db
def test_a_shop_that_another_account_has_taken_over_is_called_with_that_ones_token(tiktok, http):
    shop = make_shop(make_seller())
    heir = make_seller(open_id="open-2", access_token_sealed=seal("access-of-the-heir"))
    Shop.objects.update(cipher="c2", seller=heir)
    will_refuse_the_cipher(tiktok)
    tiktok.will_say({"orders": []})
    assert Client(shop, http).get_order("57") is None
    tokens = [asked.headers["x-tts-access-token"] for asked in tiktok.asked]
    assert tokens == ["access-1", "access-of-the-heir"]


@pytest.mark.django_db
def test_a_consent_that_comes_while_we_fetch_the_shops_keeps_its_ciphers(tiktok, http):
    shop = make_shop(make_seller())
    will_name_shops(tiktok)

    def fetch():
        found = get_shops("US", "access-1", http)
        Shop.objects.update(cipher="c3")
        return found

    assert shop.renew_cipher(fetch) and shop.cipher == "c3"
    assert Shop.objects.get().cipher == "c3"


@pytest.mark.django_db(transaction=True)
def test_one_of_many_fetches_the_shops_and_the_others_wait_for_it(tiktok, http):
    make_shop(make_seller())
    gate = threading.Event()
    will_name_shops(tiktok, gate=gate)

    shops = [Shop.objects.get() for _ in range(6)]  # read before any of them is renewed

    def renewed() -> str:
        shop = shops.pop()
        shop.renew_cipher(partial(get_shops, "US", "access-1", http))
        return shop.cipher

    found = six_at_once(renewed, gate)
    assert found == ["c2"] * 6
    assert len(tiktok.asked) == 1


@pytest.mark.django_db
def test_waiting_for_another_who_fetches_the_shops_ends_after_five_seconds(tiktok, http):
    shop = make_shop(make_seller(refreshing_until=timezone.now() + REFRESH_LEASE))
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        shop.renew_cipher(list)
    assert caught.value.retry_after
    assert 5 <= time.monotonic() - began < 7


def test_a_token_sealed_before_a_key_rotation_still_opens(settings):
    older, newer = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
    settings.TOKEN_CIPHER = MultiFernet([older])
    stored = seal("access-1")
    settings.TOKEN_CIPHER = MultiFernet([newer, older])
    assert unseal(stored) == "access-1"
