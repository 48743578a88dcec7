"""How a TikTok shop comes to feed a Shopify shop, and how it stops.

The way: a signed link to TikTok, TikTok's return with a code, a ticket into the admin of the shop that asked, and
there, under a session token of the same shop and user, the exchange and the merchant's yes. A stranger's link can
therefore never hook somebody's TikTok shop to the stranger's store.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

import tiktok.client
import tiktok.errors
import tiktok.models
from connector.models import DELETE, DISCONNECTED, Connection, Consent, Order
from connector.preferences import Changes, log
from connector.states import LIFTED_BY_A_REINSTALL, OrderState, Pause
from connector.transport import session as transport
from connector.wake import bell
from connector.work import wake_all
from shopify_app.models import Shop
from tiktok import oauth

SALT = "connector.consent"
STATE_LIVES = timedelta(minutes=30)  # TikTok's code lives as long
TICKET_LIVES = timedelta(minutes=10)
CODE_OF_REST = ("ROW_", "GCP_")  # how the codes of the rest-of-world registration begin (TikTok contract 1.2)
TICKET_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # people may type it: no I, O, 0, 1
TICKET_LENGTH = 16
WENT_ON = "went_on_with"  # in a shop's settings: the grant, by its time, after which its connections went on


class BadState(Exception):
    """The state is forged, too old or used; `domain` is whose link it was, where that can be told."""

    def __init__(self, domain: str = "") -> None:
        super().__init__("bad state")
        self.domain = domain


class NoTicket(Exception):
    """No such ticket for this shop and user, or its ten minutes are over."""


class InProgress(Exception):
    """The same ticket is being exchanged by another request."""


class Refused(Exception):
    """TikTok did not give its tokens for the code: start again. `words` are TikTok's."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class ConnectedElsewhere(Exception):
    """A shop was to be connected, and meanwhile feeds another store."""


# ---- to TikTok and back ----------------------------------------------------------------------------------------------


def consent_url(app: str, shop: Shop, user: str) -> str:
    """TikTok's consent page for one of our registrations, with a state bound to shop and user."""
    state = signing.dumps([secrets.token_urlsafe(12), app, shop.domain, user], salt=SALT, compress=True)
    return oauth.consent_url(app, state)


def links(shop: Shop, user: str) -> list[tuple[str, str]]:
    """Registration and consent link, one for each Partner Center that we are registered with."""
    return [(app, consent_url(app, shop, user)) for app in settings.TIKTOK_APPS]


def accept_return(code: str, state: str) -> Consent:
    """Keep the code under a ticket, for minutes. Without a state it waits for whoever claims it. BadState."""
    if not state:
        return keep_code(Consent(nonce=secrets.token_urlsafe(12), app=app_of(code)), code)
    try:
        nonce, app, domain, user = signing.loads(state, salt=SALT, max_age=STATE_LIVES)
        consent = Consent(nonce=nonce, app=app, shop=Shop.objects.get(domain=domain), user=user)
        with transaction.atomic():
            return keep_code(consent, code)
    except (signing.BadSignature, ValueError, Shop.DoesNotExist, IntegrityError):
        raise BadState(shop_of_state(state)) from None  # IntegrityError: this nonce has come back before


def shop_of_state(state: str) -> str:
    """Whose link it was, however old it is: a way back for a person who is lost. Empty for a forged state."""
    try:
        _nonce, _app, domain, _user = signing.loads(state, salt=SALT)
    except (signing.BadSignature, ValueError):
        return ""
    return str(domain)


def keep_code(consent: Consent, code: str) -> Consent:
    consent.ticket = "".join(secrets.choice(TICKET_LETTERS) for _ in range(TICKET_LENGTH))
    consent.code_sealed = settings.TOKEN_CIPHER.encrypt(code.encode()).decode()
    consent.returned_at = timezone.now()
    consent.save()
    return consent


def forget_codes(now: datetime) -> None:
    """Of tickets that are over."""
    Consent.objects.filter(returned_at__lte=now - TICKET_LIVES).exclude(code_sealed="").update(code_sealed="")


def readable(ticket: str) -> str:
    """A ticket for people: in groups of four."""
    return "-".join(ticket[i : i + 4] for i in range(0, TICKET_LENGTH, 4))


def app_of(code: str) -> str:
    """The registration that a code without a state belongs to."""
    return "ROW" if "ROW" in settings.TIKTOK_APPS and code.startswith(CODE_OF_REST) else "US"


# ---- the ticket meets its session token ------------------------------------------------------------------------------


def find(typed: str, shop: Shop, user: str) -> Consent:
    """The consent of a ticket that this user of this shop may show. NoTicket."""
    ticket = "".join(letter for letter in typed.upper() if letter.isalnum())
    alive = Consent.objects.filter(used_at=None, returned_at__gt=timezone.now() - TICKET_LIVES)
    mine = alive.filter(ticket=ticket).exclude(ticket="")
    # came without a state: the first to show the ticket claims it
    mine.filter(shop=None).update(shop=shop, user=user)
    consent = mine.filter(shop=shop, user=user).select_related("seller").first()
    if consent is None:
        raise NoTicket
    return consent


def exchange(consent: Consent) -> None:
    """Learn whose shops the code opens: `consent.seller`. Connects nothing.

    A code is good for one exchange, so it is taken from the row meanwhile, and put back when TikTok did not
    answer (tiktok.errors.Unavailable). Raises Refused when it is spent, InProgress when another request has it.
    """
    sealed = consent.code_sealed
    mine = Consent.objects.filter(pk=consent.pk)
    if not sealed or not mine.filter(code_sealed=sealed).update(code_sealed=""):
        raise InProgress
    try:
        code = settings.TOKEN_CIPHER.decrypt(sealed).decode()
        consent.seller, consent.shop_ids = sign_in(consent.app, code)
    except tiktok.errors.Unavailable:
        mine.update(code_sealed=sealed)
        raise
    except tiktok.errors.Rejected as error:
        mine.update(used_at=timezone.now())
        raise Refused(error.public) from None
    mine.update(seller=consent.seller, shop_ids=consent.shop_ids)


def sign_in(app: str, code: str) -> tuple[tiktok.models.Seller, list[str]]:
    """The seller, and the ids of the shops that this consent opens: an older one may have opened others."""
    grant = oauth.exchange(app, code, transport())
    try:
        shops = tiktok.client.get_shops(app, grant.access_token, transport())
    except tiktok.errors.Unavailable as error:
        # the code is spent, and tokens without their ciphers are no use
        raise tiktok.errors.Rejected(error.message, code=error.code, request_id=error.request_id) from None
    if not shops:
        raise tiktok.errors.Rejected("This seller account has no shop", code="no_shop")
    return tiktok.models.Seller.connect(app, grant, shops), [shop.id for shop in shops]


# ---- the merchant's yes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """A TikTok shop of the seller, and the store that it feeds now, if any."""

    tiktok_shop: tiktok.models.Shop
    feeds: Shop | None

    @property
    def domain(self) -> str:
        return self.feeds.domain if self.feeds else ""


def offers(consent: Consent) -> list[Offer]:
    shops = opened_by(consent).order_by("name", "shop_id")
    active = Connection.objects.filter(tiktok_shop__in=shops, active=True).select_related("shop")
    feeds = {connection.tiktok_shop_id: connection.shop for connection in active}
    return [Offer(shop, feeds.get(shop.pk)) for shop in shops]


def opened_by(consent: Consent) -> QuerySet[tiktok.models.Shop]:
    return tiktok.models.Shop.objects.filter(seller=consent.seller, shop_id__in=consent.shop_ids)


@transaction.atomic
def confirm(consent: Consent, chosen: Iterable[str], moved: Iterable[str]) -> list[Connection]:
    """Connect the chosen shops (TikTok's shop ids). Those in `moved` are taken from the store they feed.

    Shops that the consent did not open are passed over; without any shop the consent waits for a better choice.

    Raises NoTicket when the consent was used meanwhile, ConnectedElsewhere for a shop that nobody agreed to move.
    """
    moved = set(moved)
    wanted = {*chosen, *moved}
    shops = opened_by(consent).select_for_update().filter(shop_id__in=wanted)
    connections = [connect(consent, shop, may_move=shop.shop_id in moved) for shop in shops]
    if not connections:
        return []
    if not Consent.objects.filter(pk=consent.pk, used_at=None).update(used_at=timezone.now()):
        raise NoTicket
    for connection in connections:
        transaction.on_commit(partial(bell.ring, connection.shop_id))
    return connections


def connect(consent: Consent, shop: tiktok.models.Shop, *, may_move: bool) -> Connection:
    others = Connection.objects.filter(tiktok_shop=shop, active=True).exclude(shop=consent.shop)
    for other in others:
        if not may_move:
            raise ConnectedElsewhere
        turn_off(other, consent.user, moved_to=consent.shop.domain if consent.shop else "")
    connection, new = Connection.objects.get_or_create(
        shop=consent.shop,
        tiktok_shop=shop,
        defaults={"connected_by": consent.user, "due_at": timezone.now()},
    )
    if not new:
        renew(connection, consent)
    return connection


def renew(connection: Connection, consent: Consent) -> None:
    """Same pair again: go on where it paused, or, if it was off, take orders from now on."""
    facts: dict[str, object] = {"connected_by": consent.user}
    changes: Changes = {} if connection.active else {"connected": [False, True]}
    if connection.paused:
        changes["paused"] = [True, False]
    log(connection, consent.user, changes)
    if not connection.active:
        known = {k: v for k, v in connection.settings.items() if k not in ("held_drafts", "moved_to")}
        facts |= {"active": True, "started_at": timezone.now(), "settings": known}
    Connection.objects.filter(pk=connection.pk).update(**facts)
    if not connection.active:
        wake_all(Order.objects.filter(connection=connection, last_error=DISCONNECTED), last_error="")
    connection.begin_anew()


def reinstalled(shop: Shop) -> None:
    """Go on with what stopped before the store's present grant. That it was done is kept with the shop, whose row each
    page reads in any case: the request that brought the grant may have died of it.
    """
    grant = shop.installed_at
    if grant is None or shop.settings.get(WENT_ON) == grant.isoformat():
        return
    stopped = Connection.objects.filter(
        shop=shop, paused_reason__in=LIFTED_BY_A_REINSTALL, paused_at__lt=grant
    )
    for connection in stopped:
        connection.begin_anew()
        bell.ring(shop.pk)
    Shop.objects.filter(pk=shop.pk).update(settings=shop.settings | {WENT_ON: grant.isoformat()})


# ---- and how it stops ------------------------------------------------------------------------------------------------


def disconnect(connection: Connection, drafts: str, by: str) -> None:
    """Take no more orders. Held drafts stay as they are, or are deleted; orders in Shopify still get their tracking."""
    with transaction.atomic():
        turn_off(connection, by, held_drafts=drafts)
        if drafts == DELETE:
            shop = connection.shop_id  # the index by state is a shop's
            wake_all(Order.objects.filter(shop=shop, connection=connection, state=OrderState.ON_HOLD))
    bell.ring(connection.shop_id)


def turn_off(connection: Connection, by: str, **why: str) -> None:
    connection.settings = connection.settings | why
    connection.active = False
    with transaction.atomic():
        connection.save(update_fields=["settings", "active"])
        log(connection, by, {"connected": [True, False]} | {name: ["", words] for name, words in why.items()})


def go_on(connection: Connection, by: str) -> None:
    """A person looked at what stopped the connection, and says: go on. A pause by hand is lifted as such only."""
    changes: Changes = {}
    with transaction.atomic():
        if connection.other_connector and connection.other_connector_accepted_at is None:
            mine = Connection.objects.filter(pk=connection.pk)
            mine.update(other_connector_accepted_at=timezone.now())
            wake_all(connection.asking().filter(reason="other_connector"))
            changes["other_connector_accepted"] = [False, True]
        if connection.paused_reason != Pause.BY_A_PERSON:
            if connection.paused:
                changes["paused"] = [True, False]
            connection.resume()
        log(connection, by, changes)
    bell.ring(connection.shop_id)
