"""Session tokens: who is looking at the embedded page, from which shop (Shopify contract 2.2)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from shopify import session_token

from .errors import ShopifyError

DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com", re.ASCII | re.IGNORECASE)


class InvalidToken(ShopifyError):
    """The session token proves nothing: the page must fetch a fresh one."""


@dataclass(frozen=True, slots=True)
class Session:
    """A verified token: `shop` is the full myshopify domain, `user` Shopify's user id."""

    shop: str
    user: str
    expires: datetime


def verify_session_token(token: str) -> Session:
    """The session behind a token signed with the current or the old client secret, or InvalidToken."""
    claims = _decode(token)
    if not isinstance(claims.get("exp"), int | float) or "nbf" not in claims:
        raise InvalidToken("the token never expires", code="invalid_token")
    shop = shop_of(claims["iss"])
    if shop is None or (claims["iss"], claims["dest"]) != (f"https://{shop}/admin", f"https://{shop}"):
        raise InvalidToken("the token is not from a shop", code="invalid_token")
    return Session(shop=shop, user=str(claims["sub"]), expires=datetime.fromtimestamp(claims["exp"], UTC))


def shop_of(text: str) -> str | None:
    """The full *.myshopify.com domain named by a domain or URL, or None. Anybody may have written the text: the
    library's own reading of it (`sanitize_shop_domain`) raises ValueError for brackets."""
    host = text.removeprefix("https://").partition("/")[0]
    return host.lower() if DOMAIN.fullmatch(host) else None


def _decode(token: str) -> dict[str, Any]:
    """The library's part: signature (HS256 only), audience, exp and nbf with 10 s of slack, iss = dest."""
    secrets = filter(None, (settings.SHOPIFY_API_SECRET, settings.SHOPIFY_API_SECRET_OLD))
    reason = "no secret is configured"
    for secret in secrets:
        try:
            claims: dict[str, Any] = session_token.decode_from_header(
                f"{session_token.PREFIX}{token}", settings.SHOPIFY_API_KEY, secret
            )
        except session_token.SessionTokenError as error:
            reason = str(error)
        else:
            return claims
    raise InvalidToken(reason, code="invalid_token")
