"""What can go wrong in speaking with Shopify. No message ever holds a URL, a token or a buyer's data."""

import re

PERSONAL = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # e-mail addresses
    r"|\(?\+\d{1,3}\)?[\d\s().-]{6,}\d"  # phone numbers with their country
)


SCOPE_MISSING = "ACCESS_DENIED"  # one permission is not granted, the access as such stands


class ShopifyError(Exception):
    """Base of every error this package raises on purpose. `may_have_acted`: a write may have happened all the same."""

    may_have_acted = False

    def __init__(self, message: str, *, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id

    def __str__(self) -> str:
        return self.public

    @property
    def public(self) -> str:
        """Code, Shopify's words and request id: safe to store and to show."""
        words = PERSONAL.sub("[removed]", self.message)
        text = f"{self.code}: {words}" if self.code else words
        return f"{text} (request {self.request_id})" if self.request_id else text


class BadSignature(ShopifyError):
    """The HMAC is not ours: answer 401."""


class Malformed(ShopifyError):
    """A signed body that is not the documented shape."""


class Unavailable(ShopifyError):
    """No usable answer; try later. `may_have_acted` tells whether a write may have happened all the same."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        code: str = "",
        request_id: str = "",
        may_have_acted: bool = False,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.retry_after = retry_after
        self.may_have_acted = may_have_acted


class Busy(Unavailable):
    """The budget is spent, nothing was executed: come back after `retry_after` seconds. Not a failure."""

    def __init__(
        self, message: str, *, retry_after: float, code: str = "THROTTLED", request_id: str = ""
    ) -> None:
        super().__init__(message, retry_after=retry_after, code=code, request_id=request_id)


class Rejected(ShopifyError):
    """Shopify said no and will say no again: a person's turn."""


class AccessLost(Rejected):
    """We may not speak for this shop any more: pause it. `retry_daily`: frozen or locked, it may thaw."""

    def __init__(
        self, message: str, *, code: str = "", request_id: str = "", retry_daily: bool = False
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.retry_daily = retry_daily
