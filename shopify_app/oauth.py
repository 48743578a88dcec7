"""Token exchange and refresh (Shopify contract 2.3, 2.4). Always expiring offline tokens, always in pairs."""

import math
from dataclasses import dataclass
from typing import Any

import orjson
import requests
from django.conf import settings

from .auth import InvalidToken
from .errors import AccessLost, Busy, Rejected, Unavailable

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 90 * 24 * 3600
REOPEN = "the merchant must open the app"


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """A pair of tokens with their lives in seconds. `refresh_token` is empty when the old one stays."""

    access_token: str
    refresh_token: str
    scopes: tuple[str, ...]
    expires_in: int
    refresh_expires_in: int

    def __repr__(self) -> str:
        return f"Grant(expires_in={self.expires_in})"


def exchange(shop_domain: str, session_token: str, http: requests.Session) -> Grant:
    """Trade a session token for an expiring offline pair. InvalidToken: the page must fetch a fresh one."""
    grant = _grant(
        shop_domain,
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": session_token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "requested_token_type": "urn:shopify:params:oauth:token-type:offline-access-token",
            "expiring": "1",
        },
        http,
    )
    if not grant.refresh_token:
        raise Rejected("Shopify gave a token that does not expire", code="no_refresh_token")
    return grant


def refresh(shop_domain: str, refresh_token: str, http: requests.Session) -> Grant:
    """A new pair for a refresh token. AccessLost when that token is dead."""
    return _grant(shop_domain, {"grant_type": "refresh_token", "refresh_token": refresh_token}, http)


def _grant(shop_domain: str, request: dict[str, str], http: requests.Session) -> Grant:
    client = {"client_id": settings.SHOPIFY_API_KEY, "client_secret": settings.SHOPIFY_API_SECRET}
    try:
        reply = http.post(
            f"{settings.SHOPIFY_SHOP_URL.format(shop=shop_domain)}/admin/oauth/access_token",
            data=orjson.dumps(client | request),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeout=(settings.CONNECT_TIMEOUT_SECONDS, settings.CALL_DEADLINE_SECONDS),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise Unavailable(f"no answer to a token request: {type(error).__name__}", code="no_answer") from None
    body = _json(reply.content)
    if reply.status_code != 200:
        raise _refusal(reply, body)
    return _read_grant(body)


def _read_grant(body: dict[str, Any]) -> Grant:
    if not isinstance(body.get("access_token"), str):
        raise Unavailable("a token answer without a token", code="no_token")
    return Grant(
        access_token=body["access_token"],
        refresh_token=body.get("refresh_token") or "",
        scopes=tuple(filter(None, (body.get("scope") or "").split(","))),
        expires_in=int(body.get("expires_in") or ACCESS_SECONDS),  # answers without it were seen
        refresh_expires_in=int(body.get("refresh_token_expires_in") or REFRESH_SECONDS),
    )


def _refusal(reply: requests.Response, body: dict[str, Any]) -> Exception:
    status = reply.status_code
    code = str(body.get("error") or status)
    request_id = reply.headers.get("X-Request-Id", "")
    if code == "invalid_subject_token":
        return InvalidToken("Shopify refused the session token", code=code, request_id=request_id)
    if code == "invalid_grant" or (status == 401 and code != "invalid_client"):
        return AccessLost(REOPEN, code=code, request_id=request_id)
    if status == 429:
        return Busy("too many token requests", retry_after=retry_after(reply.headers.get("Retry-After")))
    if status >= 500:
        return Unavailable(f"HTTP {status} to a token request", code=str(status), request_id=request_id)
    if status in {402, 403, 423}:
        words = "the shop does not let the app in"
        return AccessLost(words, code=code, request_id=request_id, retry_daily=status != 403)
    return Rejected("Shopify refused a token request", code=code, request_id=request_id)


def retry_after(header: str | None) -> float:
    """Seconds of a Retry-After header, a decimal string ("2.0"), at most an hour; 2 when it is missing or odd."""
    try:
        seconds = float(header or "")
    except ValueError:
        return 2.0
    return min(max(seconds, 0.1), 3600.0) if math.isfinite(seconds) else 2.0


def _json(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
