"""Who lets us in: sellers with their tokens, and the shops those tokens open."""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, ClassVar

import requests
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from tiktok import oauth
from tiktok.errors import AccessLost, Rejected, Unavailable
from tiktok.oauth import Grant
from tiktok.records import AuthorizedShop
from tiktok.scopes import NEEDED

log = logging.getLogger("tiktok")

REFRESH_EARLY = timedelta(hours=24)
REFRESH_LEASE = timedelta(seconds=30)
REFRESH_WAIT_SECONDS = 5.0
REFRESH_POLL_SECONDS = 0.1


class Seller(models.Model):
    """A TikTok seller's grant to one of our registrations. Tokens are stored encrypted."""

    app = models.CharField(max_length=8)  # the registration: a key of settings.TIKTOK_APPS
    open_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255, default="")
    region = models.CharField(max_length=8, default="")
    access_token_sealed = models.TextField()
    access_expires_at = models.DateTimeField(db_index=True)
    refresh_token_sealed = models.TextField()
    refresh_expires_at = models.DateTimeField()
    # The refresh token before the present one, kept until the present one has worked (TikTok contract 12.6).
    previous_refresh_token_sealed = models.TextField(default="")
    scopes = models.TextField(default="")  # comma-separated names of TikTok's permissions
    granted_at = models.DateTimeField()  # when the present access token came
    refreshing_until = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Seller"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["app", "open_id"], name="tiktok_seller_once_per_app"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.app} {self.open_id})"

    @classmethod
    @transaction.atomic
    def connect(cls, app: str, grant: Grant, shops: Iterable[AuthorizedShop]) -> "Seller":
        """Store a fresh consent with the shops it opens. Ciphers change with every consent."""
        seller, _ = cls.objects.update_or_create(
            app=app,
            open_id=grant.open_id,
            defaults={
                "scopes": "",
                **sealed(grant),
                "name": grant.name,
                "region": grant.region,
                "previous_refresh_token_sealed": "",
                "refreshing_until": None,
                "revoked_at": None,
            },
        )
        for shop in shops:
            Shop.objects.update_or_create(
                shop_id=shop.id,
                defaults={
                    "seller": seller,
                    "cipher": shop.cipher,
                    "region": shop.region,
                    "name": shop.name,
                    "seller_type": shop.seller_type,
                    "code": shop.code,
                },
            )
        return seller

    @property
    def missing_scopes(self) -> list[str]:
        """The names of permissions that we need and were not given; none where TikTok does not list what it gave."""
        held = self.scopes.split(",")
        return [name for scope, name in NEEDED.items() if scope not in held] if self.scopes else []

    def revoke(self) -> None:
        """The grant is over, or nobody needs it: forget the tokens, but not those of a later consent."""
        Seller.objects.filter(pk=self.pk, granted_at=self.granted_at).update(
            revoked_at=timezone.now(),
            access_token_sealed="",
            refresh_token_sealed="",
            previous_refresh_token_sealed="",
        )
        self.refresh_from_db(fields=REFRESHED_FIELDS)

    def access_token(self, http: requests.Session | None = None, refused: str = "") -> str:
        """A token that TikTok takes now. `refused` is one that it has just not taken.

        One process refreshes, 24 hours early; the others go on with the old token while it lives, else wait
        up to 5 s for the new one. Raises AccessLost when the grant is gone, Unavailable when there is no
        token now.
        """
        if self.usable(refused) and not self.due_for_refresh:
            return self.token
        give_up = time.monotonic() + REFRESH_WAIT_SECONDS
        while True:
            self.refresh_from_db(fields=REFRESHED_FIELDS)
            if self.usable(refused) and not self.due_for_refresh:
                return self.token
            if self.claim_refresh():
                return self.refresh(http, refused)
            if self.usable(refused):
                return self.token
            if time.monotonic() >= give_up:
                raise Unavailable("Another process is refreshing the token", retry_after=REFRESH_WAIT_SECONDS)
            time.sleep(REFRESH_POLL_SECONDS)

    @property
    def token(self) -> str:
        return unseal(self.access_token_sealed)

    @property
    def due_for_refresh(self) -> bool:
        """From 24 hours before the end; for a short-lived token, in its last quarter."""
        early = min(REFRESH_EARLY, (self.access_expires_at - self.granted_at) / 4)
        return timezone.now() >= self.access_expires_at - early

    def usable(self, refused: str) -> bool:
        if self.revoked_at:
            raise AccessLost(f"The seller {self.name} took TikTok's permission back: connect again")
        return timezone.now() < self.access_expires_at and self.token != refused

    def claim_refresh(self) -> bool:
        """Become the one who refreshes: no other's lease is alive, and the pair is still the one we hold."""
        now = timezone.now()
        free = Q(refreshing_until=None) | Q(refreshing_until__lt=now)
        self.refreshing_until = now + REFRESH_LEASE
        return bool(self.same_pair().filter(free).update(refreshing_until=self.refreshing_until))

    def refresh(self, http: requests.Session | None, refused: str) -> str:
        """Call TikTok without a transaction, and store the pair only over the one it came from."""
        try:
            grant, worked = self.call_refresh(http)
        except (Unavailable, Rejected) as error:
            log.warning("tiktok token refresh failed", extra={"seller": self.pk, "reason": error.public})
            if self.usable(refused):
                return self.token  # the lease stays: nobody tries again before it ends
            self.end_refresh()
            if isinstance(error, Rejected):
                raise AccessLost(error.message, code=error.code, request_id=error.request_id) from None
            raise
        stored = self.same_pair().update(
            **sealed(grant), previous_refresh_token_sealed=worked, refreshing_until=None
        )
        if not stored:
            log.warning("tiktok token pair was overtaken", extra={"seller": self.pk})
        self.refresh_from_db(fields=REFRESHED_FIELDS)
        return self.token

    def renew_ciphers(self, fetch: Callable[[], Iterable[AuthorizedShop]]) -> None:
        """Store the ciphers of the shops that the grant opens now, but not over those of a later consent."""
        before = dict(self.shops.values_list("shop_id", "cipher"))
        for shop in fetch():
            stored = Shop.objects.filter(seller=self, shop_id=shop.id, cipher=before.get(shop.id))
            stored.exclude(cipher=shop.cipher).update(cipher=shop.cipher)

    def end_refresh(self) -> None:
        """Let others refresh, unless our lease is over and one of them does so already."""
        self.same_pair().filter(refreshing_until=self.refreshing_until).update(refreshing_until=None)

    def call_refresh(self, http: requests.Session | None) -> tuple[Grant, str]:
        """The new pair, and the (sealed) refresh token that brought it."""
        try:
            grant = oauth.refresh(self.app, unseal(self.refresh_token_sealed), http)
        except Rejected:
            if not self.previous_refresh_token_sealed:
                raise
        else:
            return grant, self.refresh_token_sealed
        former = unseal(self.previous_refresh_token_sealed)
        return oauth.refresh(self.app, former, http), self.previous_refresh_token_sealed

    def same_pair(self) -> "models.QuerySet[Seller]":
        """This row, as long as nobody stored other tokens."""
        return Seller.objects.filter(pk=self.pk, refresh_token_sealed=self.refresh_token_sealed)


REFRESHED_FIELDS = [
    "access_token_sealed",
    "access_expires_at",
    "refresh_token_sealed",
    "refresh_expires_at",
    "previous_refresh_token_sealed",
    "granted_at",
    "refreshing_until",
    "revoked_at",
]


class Shop(models.Model):
    """A TikTok shop. `cipher` goes with every call; `shop_id` comes with every webhook."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="shops")
    shop_id = models.CharField(max_length=64, unique=True)
    cipher = models.TextField()
    region = models.CharField(max_length=8, default="")
    name = models.CharField(max_length=255, default="")
    seller_type = models.CharField(max_length=32, default="")
    code = models.CharField(max_length=64, default="")

    objects: ClassVar[models.Manager["Shop"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.name} ({self.region} {self.shop_id})"

    def renew_cipher(self, fetch: Callable[[], Iterable[AuthorizedShop]]) -> bool:
        """Take the cipher that goes with the grant now, as TikTok has just refused ours. False: it is the same.

        One process fetches the seller's shops, the others wait up to 5 s for what it stores. Raises what
        `fetch` raises, and Unavailable when another process has not stored anything by then.
        """
        refused, give_up = self.cipher, time.monotonic() + REFRESH_WAIT_SECONDS
        while self.stored_cipher() == refused:
            seller = self.seller
            if seller.claim_refresh():
                try:
                    if self.stored_cipher() == refused:  # else another stored it just before we claimed
                        seller.renew_ciphers(fetch)
                finally:
                    seller.end_refresh()
                return self.stored_cipher() != refused
            if time.monotonic() >= give_up:
                raise Unavailable("Another process is fetching the shops", retry_after=REFRESH_WAIT_SECONDS)
            time.sleep(REFRESH_POLL_SECONDS)
        return True

    def stored_cipher(self) -> str:
        """The cipher as it is now; the shop may belong to another seller account by now, or to other tokens."""
        self.refresh_from_db(fields=["cipher", "seller"])
        self.seller.refresh_from_db(fields=REFRESHED_FIELDS)
        return self.cipher


def sealed(grant: Grant) -> dict[str, Any]:
    """The columns that hold a pair, and what TikTok says beside it."""
    return {
        "access_token_sealed": seal(grant.access_token),
        "access_expires_at": grant.access_expires_at,
        "refresh_token_sealed": seal(grant.refresh_token),
        "refresh_expires_at": grant.refresh_expires_at,
        "granted_at": timezone.now(),
        **({"scopes": ",".join(grant.scopes)} if grant.scopes else {}),
    }


def seal(token: str) -> str:
    return settings.TOKEN_CIPHER.encrypt(token.encode()).decode()


def unseal(stored: str) -> str:
    """The token, or AccessLost when no key of TOKEN_ENCRYPTION_KEYS opens it."""
    try:
        return settings.TOKEN_CIPHER.decrypt(stored).decode()
    except InvalidToken:
        raise AccessLost(
            "The stored token cannot be read: check TOKEN_ENCRYPTION_KEYS, or connect again"
        ) from None
