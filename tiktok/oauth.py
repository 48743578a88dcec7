"""Getting and refreshing a seller's tokens (TikTok contract 1.2).

TikTok wants the app's secret in the query of these two calls: nothing here may log or raise a URL.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from urllib.parse import urlencode

import requests

from tiktok import endpoints
from tiktok.client import exchange as send_and_judge
from tiktok.client import get_registration
from tiktok.endpoints import Endpoint
from tiktok.errors import Rejected, Unavailable
from tiktok.fields import Raw, moment, text, texts

SELLER = "0"


@dataclass(frozen=True, slots=True)
class Grant:
    """A seller's tokens. TikTok's `*_expire_in` are unix seconds, not durations, hence two moments."""

    access_token: str = field(repr=False)
    access_expires_at: datetime
    refresh_token: str = field(repr=False)
    refresh_expires_at: datetime
    open_id: str
    name: str
    region: str
    user_type: str
    scopes: tuple[str, ...]

    @classmethod
    def from_api(cls, raw: Raw) -> Self:
        access_expires_at = moment(raw, "access_token_expire_in")
        refresh_expires_at = moment(raw, "refresh_token_expire_in")
        access_token, refresh_token = text(raw, "access_token"), text(raw, "refresh_token")
        if not (access_token and refresh_token and access_expires_at and refresh_expires_at):
            raise Unavailable("The token answer has no tokens or no expiry", may_have_acted=True)
        return cls(
            access_token=access_token,
            access_expires_at=access_expires_at,
            refresh_token=refresh_token,
            refresh_expires_at=refresh_expires_at,
            open_id=text(raw, "open_id"),
            name=text(raw, "seller_name"),
            region=text(raw, "seller_base_region"),
            user_type=text(raw, "user_type"),
            scopes=texts(raw, "granted_scopes"),
        )


def consent_url(app: str, state: str) -> str:
    """Where a seller agrees. TikTok sends him back with `code` and this `state`."""
    registration = get_registration(app)
    query = urlencode({"service_id": registration["service_id"], "state": state})
    return f"{registration['consent_url']}?{query}"


def exchange(app: str, code: str, http: requests.Session | None = None) -> Grant:
    """Turn the code of a consent (one use, 30 minutes) into tokens. Rejected when it is not a seller's."""
    grant = call(app, endpoints.TOKEN_GET, {"auth_code": code, "grant_type": "authorized_code"}, http)
    if grant.user_type not in ("", SELLER):
        raise Rejected("This TikTok account is not a seller's", code="not_a_seller")
    if not grant.open_id:
        raise Rejected("TikTok did not say whose tokens these are", code="no_open_id")
    return grant


def refresh(app: str, refresh_token: str, http: requests.Session | None = None) -> Grant:
    """New tokens for a refresh token. The refresh token may or may not be a new one: store what comes."""
    query = {"refresh_token": refresh_token, "grant_type": "refresh_token"}
    return call(app, endpoints.TOKEN_REFRESH, query, http)


def call(app: str, endpoint: Endpoint, query: dict[str, str], http: requests.Session | None) -> Grant:
    registration = get_registration(app)
    keys = {"app_key": registration["app_key"], "app_secret": registration["app_secret"]}
    url = f"{registration['auth_url']}{endpoint.path}?{urlencode({**keys, **query})}"
    request = requests.Request(endpoint.method, url)
    return Grant.from_api(send_and_judge(http or requests.Session(), request, endpoint.path, endpoint))
