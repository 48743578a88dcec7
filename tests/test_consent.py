"""Connecting a TikTok shop: to TikTok, back with a code, into the right shop's admin with a ticket, and the yes."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone

from connector import clock, consent
from connector.models import DISCONNECTED, RESTS_IN_PAUSE, Connection, Consent, Heartbeat, Order
from connector.states import OrderState
from tests.shopify_script import DOMAIN, make_shop
from tests.visits import Visitor
from tiktok.models import Seller
from tiktok.models import Shop as TikTokShop
from tiktok.sandbox import TikTokSandbox

OTHER = "other-store.myshopify.com"
CALLBACK = "/tiktok/callback"


@pytest.fixture
def tiktok(settings):
    with TikTokSandbox(redirect_url=f"http://app.example{CALLBACK}", easy=True) as sandbox:
        settings.TIKTOK_APPS = {
            name: {
                "app_key": app.app_key,
                "app_secret": app.app_secret,
                "service_id": app.service_id,
                "api_url": sandbox.url,
                "auth_url": sandbox.url,
                "consent_url": f"{sandbox.url}/open/authorize",
            }
            for name, app in sandbox.apps.items()
        }
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
def shop(transactional_db):
    return make_shop(name="Fig in Shopify")


@pytest.fixture
def visitor(shop):
    return Visitor(shop.domain)


def seller_of(tiktok, name="Fig & Fleece"):
    return next(seller for seller in tiktok.sellers if seller.name == name)


def state_of(visitor, app="US"):
    """The state in the page's own link to TikTok."""
    links = re.findall(r'class="consent" href="([^"]+)"', visitor.open("/connections").content.decode())
    return parse_qs(urlsplit(links[0 if app == "US" else 1].replace("&amp;", "&")).query)["state"][0]


def come_back(tiktok, state, seller=None, **decision):
    """TikTok's redirect to us after the seller decided."""
    back = urlsplit(tiktok.consent(seller or seller_of(tiktok), state=state, **decision))
    return Client().get(back.path, {name: values[0] for name, values in parse_qs(back.query).items()})


def ticket_in(response):
    assert response.status_code == 302, response.content.decode()
    return parse_qs(urlsplit(response["Location"]).query)["ticket"][0]


def approved(tiktok, visitor, seller=None):
    """A ticket of a seller who said yes."""
    return ticket_in(come_back(tiktok, state_of(visitor), seller))


def text(response):
    words = re.sub(r"<(script|title)[^>]*>.*?</\1>|<[^>]+>", " ", response.content.decode(), flags=re.S)
    return " ".join(words.split())


def boxes(response):
    """The shops on the page: (field, TikTok shop id, ticked). A single one needs no box: it is in the form."""
    page = response.content.decode()
    found = re.findall(r'<s-checkbox name="(\w+)" value="(\d+)"( checked)?', page)
    only = re.findall(r'<input type="hidden" name="connect" value="(\d+)"', page)
    ticked = [(name, shop_id, bool(tick)) for name, shop_id, tick in found]
    return ticked + [("connect", shop_id, True) for shop_id in only]


# ---- the whole way -----------------------------------------------------------------------------------------------


def test_a_merchant_sees_which_shop_is_meant_before_anything_is_connected(tiktok, visitor, shop, settings):
    answer = come_back(tiktok, state_of(visitor))
    admin = (
        f"{settings.SHOPIFY_ADMIN_URL}/store/tts-demo-store/apps/{settings.SHOPIFY_APP_HANDLE}/tiktok/confirm"
    )
    assert answer["Location"].partition("?")[0] == admin
    ticket = ticket_in(answer)

    asked = visitor.open("/tiktok/confirm", ticket=ticket)
    shop_id = seller_of(tiktok).shops[0].id
    assert boxes(asked) == [("connect", shop_id, True)]
    assert f"Nothing is connected to {DOMAIN} yet" in text(asked)
    assert not Connection.objects.exists()

    done = visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id])
    assert "What happens next:" in text(done)
    assert "within 30 days before the shop was connected" in text(done)
    assert "Stock, products, prices and refunds are not sent to TikTok." in text(done)
    connection = Connection.objects.get()
    assert (connection.shop, connection.tiktok_shop.shop_id) == (shop, shop_id)
    assert connection.active and connection.connected_by == "42"
    assert connection.due_at <= timezone.now() and connection.started_at > timezone.now() - timedelta(
        minutes=1
    )
    assert connection.permission_ends_at == connection.tiktok_shop.seller.refresh_expires_at
    assert "No orders yet" in text(visitor.open("/orders"))


def test_the_code_is_kept_encrypted_and_only_until_it_is_spent(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    code = next(iter(tiktok.world.codes))
    row = Consent.objects.get()
    assert code not in row.code_sealed and row.code_sealed
    visitor.open("/tiktok/confirm", ticket=ticket)
    assert Consent.objects.get().code_sealed == ""


def test_a_code_that_nobody_asks_for_is_forgotten_with_its_ticket_after_ten_minutes(tiktok, visitor):
    approved(tiktok, visitor)
    returned = timezone.now()
    for minutes, kept in ((9, True), (11, False)):
        Heartbeat.objects.all().delete()
        Consent.objects.update(returned_at=returned - timedelta(minutes=minutes))
        clock.tick()
        assert bool(Consent.objects.get().code_sealed) == kept


def test_looking_twice_at_the_question_spends_the_code_once(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    pages = [visitor.open("/tiktok/confirm", ticket=ticket) for _ in range(3)]
    assert [len(boxes(page)) for page in pages] == [1, 1, 1]
    assert tiktok.calls["tokenGet"] == 1


def test_permissions_that_tiktok_did_not_give_are_named_and_the_shop_can_be_connected_all_the_same(
    tiktok, visitor
):
    ticket = approved(tiktok, visitor)
    assert "Missing: " not in text(visitor.open("/tiktok/confirm", ticket=ticket))
    Seller.objects.update(scopes="seller.order.info,seller.fulfillment.basic,seller.authorization.info")
    asked = visitor.open("/tiktok/confirm", ticket=ticket)
    assert "Missing: Logistics Basic, Return &amp; Refund Basic, Product Basic." in text(asked)
    assert "Connect again (US shop)" in text(asked)
    ((_, shop_id, _),) = boxes(asked)
    visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id])
    assert Connection.objects.get().active


def test_who_must_sign_in_is_said_before_and_after_a_refusal(tiktok, visitor):
    assert "with the shop's main account" in text(visitor.open("/connections"))
    assert "Only the main account" in text(come_back(tiktok, state_of(visitor), deny=True))
    assert "with the shop's main account" in text(visitor.open("/tiktok/confirm", ticket="nonsense"))


def test_a_yes_counts_once(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    ((_, shop_id, _),) = boxes(visitor.open("/tiktok/confirm", ticket=ticket))
    visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id])
    assert "This code is not known here" in text(
        visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id])
    )


def test_a_yes_to_what_was_never_shown_only_shows_it(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    response = visitor.post("/tiktok/confirm", ticket=ticket, connect=[seller_of(tiktok).shops[0].id])
    assert boxes(response) and not Connection.objects.exists()


def test_a_seller_with_several_shops_chooses(tiktok, visitor):
    harbor = seller_of(tiktok, "Harbor Goods")
    ticket = approved(tiktok, visitor, harbor)
    offered = boxes(visitor.open("/tiktok/confirm", ticket=ticket))
    assert {shop_id for _, shop_id, _ in offered} == {shop.id for shop in harbor.shops}
    assert "Choose at least one shop" in visitor.post("/tiktok/confirm", ticket=ticket).content.decode()
    visitor.post("/tiktok/confirm", ticket=ticket, connect=[harbor.shops[1].id])
    assert Connection.objects.get().tiktok_shop.name == "Harbor Outlet"


def test_a_shop_of_somebody_else_cannot_be_slipped_into_the_yes(tiktok, visitor):
    approved_ticket = approved(tiktok, visitor)
    visitor.open("/tiktok/confirm", ticket=approved_ticket)
    foreign = seller_of(tiktok, "Harbor Goods").shops[0]
    other = Seller.objects.create(
        app="US",
        open_id="somebody-else",
        access_expires_at=timezone.now(),
        refresh_expires_at=timezone.now(),
        granted_at=timezone.now(),
    )
    TikTokShop.objects.create(seller=other, shop_id=foreign.id, name=foreign.name)
    visitor.post("/tiktok/confirm", ticket=approved_ticket, connect=[foreign.id], move=[foreign.id])
    assert not Connection.objects.exists()


def test_the_rest_of_the_world_has_its_own_registration(tiktok, visitor):
    thistle = seller_of(tiktok, "Thistle & Co")
    ticket = ticket_in(come_back(tiktok, state_of(visitor, "ROW"), thistle))
    ((_, shop_id, _),) = boxes(visitor.open("/tiktok/confirm", ticket=ticket))
    visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id])
    assert Connection.objects.get().tiktok_shop.seller.app == "ROW"


# ---- states and tickets that are not good ------------------------------------------------------------------------


class LongAgo(signing.TimestampSigner):
    def timestamp(self):
        return signing.b62_encode(int((timezone.now() - timedelta(minutes=31)).timestamp()))


def test_a_state_lives_half_an_hour_and_the_page_leads_back(tiktok, visitor, shop, settings):
    state = LongAgo(salt=consent.SALT).sign_object(["nonce", "US", shop.domain, "42"], compress=True)
    response = come_back(tiktok, state)
    assert response.status_code == 400
    assert f'href="{settings.SHOPIFY_ADMIN_URL}/store/tts-demo-store/apps/' in response.content.decode()
    assert not Consent.objects.exists()


def test_a_state_counts_once(tiktok, visitor):
    state = state_of(visitor)
    assert come_back(tiktok, state).status_code == 302
    assert come_back(tiktok, state).status_code == 400
    assert Consent.objects.count() == 1


@pytest.mark.parametrize(
    "change", [lambda s: s + "x", lambda s: "x", lambda s: signing.dumps(["n", "US", DOMAIN, "42"])]
)
def test_a_state_that_we_did_not_sign_is_refused(tiktok, visitor, change):
    response = come_back(tiktok, change(state_of(visitor)))
    assert response.status_code == 400
    assert "This link is no longer valid" in text(response)
    assert not Consent.objects.exists()


def test_a_refusal_is_a_friendly_page_with_a_way_back(tiktok, visitor):
    response = come_back(tiktok, state_of(visitor), deny=True)
    assert response.status_code == 200
    assert "TikTok was not connected" in text(response)
    assert "/store/tts-demo-store/apps/" in response.content.decode()
    assert not Consent.objects.exists()


def test_the_code_in_the_address_is_sent_nowhere_else(tiktok, visitor):
    response = come_back(tiktok, None)
    assert response["Referrer-Policy"] == "no-referrer" and response["Cache-Control"] == "no-store"
    assert response["Content-Security-Policy"].startswith("frame-ancestors 'none'")


@pytest.mark.parametrize("who", [Visitor(DOMAIN, "43"), Visitor(OTHER)], ids=["another user", "another shop"])
def test_a_ticket_is_good_only_for_the_shop_and_user_who_asked(tiktok, visitor, who):
    make_shop(domain=OTHER)
    ticket = approved(tiktok, visitor)
    assert "This code is not known here" in text(who.open("/tiktok/confirm", ticket=ticket))
    assert "tokenGet" not in tiktok.calls
    assert boxes(visitor.open("/tiktok/confirm", ticket=ticket))


def test_a_ticket_lives_ten_minutes(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    Consent.objects.update(returned_at=timezone.now() - timedelta(minutes=10, seconds=1))
    assert "This code is not known here" in text(visitor.open("/tiktok/confirm", ticket=ticket))
    assert "tokenGet" not in tiktok.calls


@pytest.mark.parametrize("ticket", ["", "-", "AAAA", "' or 1=1"])
def test_a_ticket_that_never_was_opens_nothing(tiktok, visitor, ticket):
    Consent.objects.create(nonce="denied, without a ticket", returned_at=timezone.now())
    assert "This code is not known here" in text(visitor.open("/tiktok/confirm", ticket=ticket))


def test_a_return_without_a_state_is_claimed_with_a_code_in_the_merchant_s_own_admin(tiktok, visitor):
    make_shop(domain=OTHER)
    shown = come_back(tiktok, None)
    code = re.search(r'class="ticket">([\w-]+)<', shown.content.decode())[1]
    assert "enter this code within ten minutes" in text(shown)
    typed = f" {code.lower().replace('-', ' ')} "
    ((_, shop_id, _),) = boxes(visitor.fetch("/tiktok/confirm", ticket=typed))
    assert "This code is not known here" in text(Visitor(OTHER).fetch("/tiktok/confirm", ticket=code))
    visitor.post("/tiktok/confirm", ticket=code, connect=[shop_id])
    assert Connection.objects.get().shop.domain == DOMAIN


def test_a_code_without_a_state_is_exchanged_by_the_registration_it_names(tiktok, visitor):
    shown = come_back(tiktok, None, seller_of(tiktok, "Thistle & Co"))
    code = re.search(r'class="ticket">([\w-]+)<', shown.content.decode())[1]
    assert boxes(visitor.fetch("/tiktok/confirm", ticket=code))
    assert Seller.objects.get().app == "ROW"


# ---- TikTok fails ------------------------------------------------------------------------------------------------


def test_a_tiktok_that_cannot_be_reached_costs_nothing(tiktok, visitor, settings):
    ticket = approved(tiktok, visitor)
    settings.TIKTOK_APPS["US"]["auth_url"] = "http://127.0.0.1:9"
    silent = visitor.open("/tiktok/confirm", ticket=ticket)
    assert "TikTok did not answer. Nothing was connected" in text(silent)
    assert f'href="/tiktok/confirm?ticket={ticket}"' in silent.content.decode()
    settings.TIKTOK_APPS["US"]["auth_url"] = tiktok.url
    assert boxes(visitor.open("/tiktok/confirm", ticket=ticket))


def test_a_code_whose_tokens_were_lost_on_the_way_means_start_again(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    tiktok.faults.add("token", "lost_reply")
    assert "TikTok did not answer" in text(visitor.open("/tiktok/confirm", ticket=ticket))
    assert "Start again" in text(visitor.open("/tiktok/confirm", ticket=ticket))
    assert "This code is not known here" in text(visitor.open("/tiktok/confirm", ticket=ticket))


def test_tokens_whose_shops_cannot_be_read_are_not_kept(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    tiktok.faults.add("shops", "503")
    assert "Start again" in text(visitor.open("/tiktok/confirm", ticket=ticket))
    assert not Seller.objects.exists()


def test_a_code_that_tiktok_does_not_take_means_start_again_with_tiktok_s_words(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    tiktok.clock.advance(31 * 60)
    response = visitor.open("/tiktok/confirm", ticket=ticket)
    assert "TikTok did not give its permission" in text(response)
    assert re.search(r"TikTok \d+: ", text(response))


def test_a_second_look_during_the_exchange_waits_for_it(tiktok, visitor):
    ticket = approved(tiktok, visitor)
    Consent.objects.update(code_sealed="")  # another request has taken it
    page = visitor.open("/tiktok/confirm", ticket=ticket)
    assert "One moment" in text(page) and 'hx-trigger="load delay:1s"' in page.content.decode()


# ---- again, elsewhere, no more -----------------------------------------------------------------------------------


def connected(tiktok, visitor, seller=None):
    ticket = approved(tiktok, visitor, seller)
    offered = boxes(visitor.open("/tiktok/confirm", ticket=ticket))
    visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id for _, shop_id, _ in offered])
    return Connection.objects.get(shop__domain=visitor.domain)


def test_a_shop_of_another_store_is_named_and_moved_only_when_that_is_ticked(tiktok, visitor):
    make_shop(domain=OTHER)
    first = connected(tiktok, Visitor(OTHER))
    ticket = approved(tiktok, visitor)
    asked = visitor.open("/tiktok/confirm", ticket=ticket)
    shop_id = first.tiktok_shop.shop_id
    assert boxes(asked) == [("move", shop_id, False)]
    assert f"It is connected to {OTHER}, which stops receiving its orders" in asked.content.decode()

    refused = visitor.post("/tiktok/confirm", ticket=ticket, connect=[shop_id])
    assert "connected to another store meanwhile" in refused.content.decode()
    first.refresh_from_db()
    assert first.active and Connection.objects.count() == 1

    visitor.post("/tiktok/confirm", ticket=ticket, move=[shop_id])
    first.refresh_from_db()
    assert not first.active and first.settings["moved_to"] == DOMAIN
    moved = first.log.get()
    assert (moved.by, moved.changes) == ("42", {"connected": [True, False], "moved_to": ["", DOMAIN]})
    assert Connection.objects.get(active=True).shop.domain == DOMAIN
    assert f"Its new orders go to {DOMAIN}" in text(Visitor(OTHER).open("/"))


def test_connecting_again_resumes_what_was_paused_with_new_ciphers(tiktok, visitor):
    connection = connected(tiktok, visitor)
    cipher, started = connection.tiktok_shop.cipher, connection.started_at
    order = Order.objects.create(
        shop=connection.shop, connection=connection, tiktok_id="577", last_error=RESTS_IN_PAUSE
    )
    connection.pause("tiktok_access_lost")
    again = connected(tiktok, visitor)
    order.refresh_from_db()
    assert again.pk == connection.pk and again.paused_reason == "" and again.started_at == started
    assert again.tiktok_shop.cipher != cipher
    assert again.log.get().changes == {"paused": [True, False]}
    assert order.due_at <= timezone.now() and order.last_error == ""


def test_connecting_after_a_disconnect_takes_orders_from_then_on(tiktok, visitor):
    connection = connected(tiktok, visitor)
    held = Order.objects.create(
        shop=connection.shop,
        connection=connection,
        tiktok_id="577",
        state=OrderState.ON_HOLD,
        draft_gid="gid://shopify/DraftOrder/1",
        last_error=DISCONNECTED,
    )
    visitor.post(f"/connections/{connection.pk}/disconnect", drafts="keep")
    again = connected(tiktok, visitor)
    held.refresh_from_db()
    assert again.pk == connection.pk and again.active and again.started_at > connection.started_at
    assert "held_drafts" not in again.settings and held.due_at <= timezone.now()


def test_two_stores_that_say_yes_at_once_end_with_one_connection(tiktok, visitor):
    make_shop(domain=OTHER)
    tickets = [(who, approved(tiktok, who)) for who in (visitor, Visitor(OTHER))]
    shop_id = seller_of(tiktok).shops[0].id
    for who, ticket in tickets:
        assert boxes(who.open("/tiktok/confirm", ticket=ticket)) == [("connect", shop_id, True)]
    answers = [who.post("/tiktok/confirm", ticket=ticket, connect=[shop_id]) for who, ticket in tickets]
    assert "What happens next:" in text(answers[0])
    assert "connected to another store meanwhile" in answers[1].content.decode()
    assert Connection.objects.filter(active=True).count() == 1


def test_a_shop_that_the_new_consent_did_not_open_is_not_offered(tiktok, visitor):
    harbor = seller_of(tiktok, "Harbor Goods")
    ticket = approved(tiktok, visitor, harbor)
    visitor.open("/tiktok/confirm", ticket=ticket)
    seller = Seller.objects.get()
    TikTokShop.objects.create(seller=seller, shop_id="7", name="Sold long ago")  # an older consent opened it
    assert {shop_id for _, shop_id, _ in boxes(visitor.open("/tiktok/confirm", ticket=ticket))} == {
        shop.id for shop in harbor.shops
    }
    visitor.post("/tiktok/confirm", ticket=ticket, connect=["7"])
    assert not Connection.objects.exists()
