"""A Shopify shop and its pair of tokens, which only one process refreshes at a time."""

import time
from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import requests
import shopify
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import models
from django.utils import timezone

from . import oauth
from .client import Client
from .errors import SCOPE_MISSING, AccessLost, Rejected, Unavailable

REFRESH_EARLY = timedelta(minutes=10)
KEEP_ALIVE = timedelta(days=30)  # a refresh token lives 90 days: a shop at rest is refreshed long before
CLAIM = timedelta(seconds=30)
WAIT_STEPS, WAIT_STEP_SECONDS = 50, 0.1  # others wait up to 5 s for the one that refreshes

SAYS_NEITHER = ("403", "unreadable_token")  # Shopify keeps us out for a while; we have lost our own key
NO_SUCH_STORE = "404"

TOKEN_FIELDS = (
    "access_token",
    "refresh_token",
    "previous_refresh",
    "access_expires_at",
    "refresh_expires_at",
    "refreshing_until",
    "uninstalled_at",
    "paused_reason",
    "scopes",
)


class ShopQuerySet(models.QuerySet["Shop"]):
    def connected(self) -> Self:
        """Shops we hold a usable grant of."""
        return self.filter(uninstalled_at=None, paused_reason="").exclude(refresh_token="")

    def to_keep_alive(self) -> Self:
        """Connected shops whose refresh token has less than 30 days left: call `keep_alive` on each daily."""
        return self.connected().filter(refresh_expires_at__lt=timezone.now() + KEEP_ALIVE)


class Shop(models.Model):
    domain = models.CharField(max_length=255, unique=True)
    gid = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(max_length=255, blank=True, default="")
    # Fernet ciphertext, never the token itself
    access_token = models.TextField(blank=True, default="")
    refresh_token = models.TextField(blank=True, default="")
    previous_refresh = models.TextField(blank=True, default="")
    access_expires_at = models.DateTimeField(null=True, blank=True)
    refresh_expires_at = models.DateTimeField(null=True, blank=True)
    refreshing_until = models.DateTimeField(null=True, blank=True)
    scopes = models.TextField(blank=True, default="")
    plan = models.CharField(max_length=64, blank=True, default="")
    currency = models.CharField(max_length=3, blank=True, default="")
    currencies = models.JSONField(default=list, blank=True)
    timezone = models.CharField(max_length=64, blank=True, default="")
    installed_at = models.DateTimeField(null=True, blank=True)
    uninstalled_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=255, blank=True, default="")
    last_webhook_at = models.DateTimeField(null=True, blank=True)
    settings = models.JSONField(default=dict, blank=True)

    objects = ShopQuerySet.as_manager()

    def __str__(self) -> str:
        return self.domain

    @property
    def zone(self) -> ZoneInfo:
        """Where the shop's days begin and end; UTC until Shopify has told, or when it tells no known name."""
        try:
            return ZoneInfo(self.timezone or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    @classmethod
    def install(cls, domain: str, session_token: str, http: requests.Session) -> "Shop":
        """The shop behind a verified session token, which is exchanged when our grant is missing or short."""
        shop, _ = cls.objects.get_or_create(domain=domain)
        if not shop._well_granted():
            shop._exchange(session_token, http)
        if not shop.gid:
            shop.read_installation(http)
        return shop

    def token(self, http: requests.Session) -> str:
        """A usable access token, refreshed 10 minutes early by one process. AccessLost without a grant."""
        if self._lives(REFRESH_EARLY):
            return _decrypt(self.access_token)
        self._read_again()
        self._require_grant()
        if self._lives(REFRESH_EARLY):
            return _decrypt(self.access_token)
        if self._claim():
            return self._refresh(http)
        return _decrypt(self.access_token) if self._lives() else self._wait_for_other()

    def renew(self, refused: str, http: requests.Session) -> str:
        """Another access token than the one Shopify just refused with 401."""
        self._read_again()
        self._require_grant()
        if self._lives() and _decrypt(self.access_token) != refused:
            return _decrypt(self.access_token)
        if self._claim():
            return self._refresh(http, old_is_dead=True)
        return self._wait_for_other(refused)

    def keep_alive(self, http: requests.Session) -> None:
        """Refresh a pair whose refresh token has less than 30 days left: a shop at rest must not be lost."""
        due = self.refresh_expires_at is None or self.refresh_expires_at < timezone.now() + KEEP_ALIVE
        if self.refresh_token and due and self._claim():
            self._refresh(http)

    def uninstall(self, at: datetime | None = None) -> bool:
        """Forget the tokens at once. False when the message (sent `at`) is older than a reinstallation."""
        older = models.Q(installed_at=None) | models.Q(installed_at__lte=at or timezone.now())
        changed = Shop.objects.filter(older, pk=self.pk).update(
            access_token="",
            refresh_token="",
            previous_refresh="",
            access_expires_at=None,
            refresh_expires_at=None,
            refreshing_until=None,
            uninstalled_at=timezone.now(),
        )
        self.refresh_from_db()
        return bool(changed)

    def lets_us_in(self, http: requests.Session) -> bool:
        """Ask Shopify whether our grant still opens the shop: an uninstallation ends it at once (contract 2.4), and a
        store that is closed for good has no address. An answer that says neither is raised."""
        try:
            Client(self, http).installation()
        except AccessLost as error:
            if error.code == SCOPE_MISSING:
                return True
            if error.retry_daily or error.code in SAYS_NEITHER:
                raise
            return False
        except Rejected as error:
            if error.code == NO_SUCH_STORE:
                return False
            raise
        return True

    def missing_scopes(self) -> tuple[str, ...]:
        """What the app needs and the merchant has not granted; a write scope covers its read scope."""
        granted = shopify.ApiAccess(self.scopes)
        return tuple(s for s in settings.SHOPIFY_SCOPES if not granted.covers(shopify.ApiAccess([s])))

    def read_installation(self, http: requests.Session) -> None:
        """Ask Shopify who this shop is and store it: name, plan, currencies, time zone, scopes."""
        found = Client(self, http).installation()
        self.gid, self.name, self.plan = found.shop_gid, found.name, found.plan
        self.currency, self.currencies, self.timezone = found.currency, list(found.currencies), found.timezone
        self.scopes = ",".join(found.scopes)
        self.save(update_fields=["gid", "name", "plan", "currency", "currencies", "timezone", "scopes"])

    def _well_granted(self) -> bool:
        known = bool(self.refresh_token) and not self.uninstalled_at and not self.paused_reason
        fresh = self.refresh_expires_at is not None and self.refresh_expires_at > timezone.now()
        return known and fresh and not self.missing_scopes() and self._readable()

    def _readable(self) -> bool:
        """A key of TOKEN_ENCRYPTION_KEYS opens the tokens; without one a new grant takes their place."""
        try:
            return bool(_decrypt(self.refresh_token))
        except AccessLost:
            return False

    def _exchange(self, session_token: str, http: requests.Session) -> None:
        if not self._claim():
            self._wait_for_other()
            return
        try:
            grant = oauth.exchange(self.domain, session_token, http)
        except Exception:
            self._give_up_claim()
            raise
        self._store(grant, installed_at=timezone.now(), uninstalled_at=None, paused_reason="", gid="")

    def _refresh(self, http: requests.Session, *, old_is_dead: bool = False) -> str:
        try:
            self._store(self._new_pair(http))
        except Unavailable:
            if old_is_dead or not self._lives():
                self._give_up_claim()
                raise  # else the claim stays: the next try comes after it lapsed
        except Exception as error:
            self._give_up_claim()
            if isinstance(error, AccessLost) and not error.retry_daily:
                self._pause(oauth.REOPEN)
            raise
        self._require_grant()  # an uninstallation may have come meanwhile
        return _decrypt(self.access_token)

    def _new_pair(self, http: requests.Session) -> oauth.Grant:
        """Refresh with our token, or if refused with its predecessor, which lives until ours is used."""
        try:
            return oauth.refresh(self.domain, _decrypt(self.refresh_token), http)
        except AccessLost as error:
            if not self.previous_refresh or error.retry_daily:
                raise
            return oauth.refresh(self.domain, _decrypt(self.previous_refresh), http)

    def _store(self, grant: oauth.Grant, **changes: object) -> None:
        """Both tokens in one UPDATE, guarded by the refresh token they replace."""
        now = timezone.now()
        facts: dict[str, object] = {
            "access_token": _encrypt(grant.access_token),
            "refresh_token": _encrypt(grant.refresh_token) if grant.refresh_token else self.refresh_token,
            "previous_refresh": self.refresh_token if grant.refresh_token else self.previous_refresh,
            "access_expires_at": now + timedelta(seconds=grant.expires_in),
            "refresh_expires_at": now + timedelta(seconds=grant.refresh_expires_in),
            "refreshing_until": None,
            **changes,
        }
        if grant.scopes:
            facts["scopes"] = ",".join(grant.scopes)
        Shop.objects.filter(pk=self.pk, refresh_token=self.refresh_token).update(**facts)
        self.refresh_from_db()

    def _claim(self) -> bool:
        """Become the one that refreshes, for 30 seconds."""
        now = timezone.now()
        free = models.Q(refreshing_until=None) | models.Q(refreshing_until__lt=now)
        same = Shop.objects.filter(free, pk=self.pk, refresh_token=self.refresh_token)
        self.refreshing_until = now + CLAIM
        return bool(same.update(refreshing_until=self.refreshing_until))

    def _give_up_claim(self) -> None:
        Shop.objects.filter(pk=self.pk, refreshing_until=self.refreshing_until).update(refreshing_until=None)

    def _pause(self, reason: str) -> None:
        """Say why nothing works, unless another grant came meanwhile."""
        Shop.objects.filter(pk=self.pk, refresh_token=self.refresh_token).update(paused_reason=reason)

    def _wait_for_other(self, refused: str = "") -> str:
        for _ in range(WAIT_STEPS):
            time.sleep(WAIT_STEP_SECONDS)
            self._read_again()
            if self._lives() and (found := _decrypt(self.access_token)) != refused:
                return found
        raise Unavailable("another process is still refreshing the token", code="refreshing", retry_after=5)

    def _read_again(self) -> None:
        """What another process may have stored. A shop may have been redacted meanwhile."""
        try:
            self.refresh_from_db(fields=TOKEN_FIELDS)
        except Shop.DoesNotExist:
            raise AccessLost("the shop and all of its data were deleted", code="redacted") from None

    def _lives(self, spare: timedelta = timedelta(0)) -> bool:
        expires = self.access_expires_at
        return bool(self.access_token) and expires is not None and expires > timezone.now() + spare

    def _require_grant(self) -> None:
        if not self.refresh_token or self.uninstalled_at or self.paused_reason:
            raise AccessLost(oauth.REOPEN, code="no_grant")


def _encrypt(token: str) -> str:
    return settings.TOKEN_CIPHER.encrypt(token.encode()).decode()


def _decrypt(stored: str) -> str:
    try:
        return settings.TOKEN_CIPHER.decrypt(stored.encode()).decode()
    except InvalidToken:
        raise AccessLost(oauth.REOPEN, code="unreadable_token") from None
