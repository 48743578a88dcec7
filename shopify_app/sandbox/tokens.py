"""The token endpoint: session token exchange and the refresh of expiring pairs (Shopify contract 2.3, 2.4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shopify_app.sandbox.model import Grant

if TYPE_CHECKING:
    from shopify_app.sandbox.shop import ShopState

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
ACCESS_LIVES = timedelta(hours=1)
REFRESH_LIVES = timedelta(days=90)
SUPERSEDED_LIVES = timedelta(days=30)
SLACK = 10

Answer = tuple[int, dict[str, Any]]


def answer(shop: ShopState, form: Mapping[str, Any]) -> Answer:
    """What POST /admin/oauth/access_token says: status and body."""
    platform = shop.platform
    if (form.get("client_id"), form.get("client_secret")) != (platform.api_key, platform.api_secret):
        shop.violation("a token was asked for with wrong app credentials", "token")
        return _error(400, "invalid_client", "Client authentication failed")
    if form.get("grant_type") == "refresh_token":
        return _refresh(shop, str(form.get("refresh_token", "")))
    if form.get("grant_type") == EXCHANGE:
        return _exchange(shop, form)
    shop.violation(f"unknown grant_type {form.get('grant_type')!r}", "token")
    return _error(400, "invalid_request", "Unknown grant type")


def session_token(shop: ShopState, *, user: str = "42", lives: int = 60) -> str:
    """A session token as App Bridge gets it: HS256 with the app's secret, one minute long."""
    platform = shop.platform
    now = int(platform.clock.now().timestamp())
    claims = {
        "iss": f"https://{shop.domain}/admin",
        "dest": f"https://{shop.domain}",
        "aud": platform.api_key,
        "sub": user,
        "exp": now + lives,
        "nbf": now,
        "iat": now,
        "jti": secrets.token_hex(16),
        "sid": secrets.token_hex(16),
        "sig": secrets.token_hex(32),
    }
    return _jwt(claims, platform.api_secret)


def check_access(shop: ShopState, token: str | None) -> int:
    """HTTP status for an Admin API call with this token: 200, 401, or 403 for a token that never expires."""
    for grant in shop.record.grants:
        if token and grant.access_token == token:
            if grant.access_expires_at is None:
                return 403
            return 200 if shop.platform.clock.now() < grant.access_expires_at else 401
    return 401


def _exchange(shop: ShopState, form: Mapping[str, Any]) -> Answer:
    if form.get("subject_token_type") != ID_TOKEN or form.get("requested_token_type") != OFFLINE:
        shop.violation("token exchange with other token types than id_token and offline", "token")
        return _error(400, "invalid_request", "Unsupported token type")
    if not _valid(shop, str(form.get("subject_token", ""))):
        return _error(400, "invalid_subject_token", "Session token is not valid")
    _install(shop)
    if str(form.get("expiring", "")) != "1":
        shop.violation("token exchange without expiring=1: the Admin API refuses such a token", "token")
        grant = Grant(_secret("shpat"), None)
        shop.record.grants.append(grant)
        return 200, {"access_token": grant.access_token, "scope": ",".join(shop.record.scopes)}
    shop.note("token_exchanged")
    return 200, _pair(shop)


def _refresh(shop: ShopState, refresh_token: str) -> Answer:
    now = shop.platform.clock.now()
    grant = next((g for g in shop.record.grants if g.refresh_token == refresh_token), None)
    if grant is None or not shop.installed or not _alive(grant, now):
        status = shop.platform.settings.dead_refresh_status
        word = "invalid_grant" if status == 400 else "invalid_request"
        return _error(status, word, "The refresh token is not valid")
    _succeed(shop, grant, now)
    shop.note("token_refreshed")
    pair = _pair(shop)
    grant.successor = pair["refresh_token"]
    return 200, pair


def _succeed(shop: ShopState, grant: Grant, now: datetime) -> None:
    """Using a token ends those it replaced; a successor nobody used is replaced in turn."""
    for other in shop.record.grants:
        if other.successor == grant.refresh_token or other.refresh_token == grant.successor:
            other.dead = True
    grant.first_used_at = grant.first_used_at or now


def _alive(grant: Grant, now: datetime) -> bool:
    if grant.dead or grant.refresh_expires_at is None or grant.refresh_expires_at <= now:
        return False
    return grant.first_used_at is None or now < grant.first_used_at + SUPERSEDED_LIVES


def _pair(shop: ShopState) -> dict[str, Any]:
    now = shop.platform.clock.now()
    grant = Grant(_secret("shpat"), now + ACCESS_LIVES, _secret("shprt"), now + REFRESH_LIVES)
    shop.record.grants.append(grant)
    return {
        "access_token": grant.access_token,
        "scope": ",".join(shop.record.scopes),
        "expires_in": int(ACCESS_LIVES.total_seconds()),
        "refresh_token": grant.refresh_token,
        "refresh_token_expires_in": int(REFRESH_LIVES.total_seconds()),
    }


def _install(shop: ShopState) -> None:
    if shop.installed:
        return
    shop.record.installed_at = shop.platform.clock.now()
    shop.record.uninstalled_at = None
    shop.record.scopes = list(shop.platform.app_scopes)
    shop.note("app_installed")


def _valid(shop: ShopState, token: str) -> bool:
    platform = shop.platform
    claims = _claims(token, platform.api_secret)
    if claims.get("aud") != platform.api_key:
        return False
    now = platform.clock.now().timestamp()
    in_time = claims.get("nbf", 0) - SLACK <= now < claims.get("exp", 0) + SLACK
    return in_time and claims.get("dest") == f"https://{shop.domain}"


def _jwt(claims: dict[str, Any], secret: str) -> str:
    signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{_base64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def _claims(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token that we signed; nothing for any other."""
    try:
        head, body, _ = token.split(".")
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=="))
    except ValueError:
        return {}
    digest = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return claims if hmac.compare_digest(token, f"{head}.{body}.{_base64(digest)}") else {}


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _error(status: int, word: str, description: str) -> Answer:
    return status, {"error": word, "error_description": description}


def _secret(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"
