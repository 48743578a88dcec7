"""How talking to TikTok fails: not now (Unavailable), no (Rejected), not them (BadSignature)."""

import re
from enum import StrEnum

PERSONAL = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+"  # e-mail addresses
    r"|\(?\+\d{1,3}\)?[\d\s().-]{6,}\d"  # phone numbers as TikTok writes them: (+1)5125550147
    r"|\b(?:TTP|ROW|GCP)_[\w-]{8,}"  # tokens, codes and ciphers
)
PUBLIC_LENGTH = 300


class TikTokError(Exception):
    """Every error of this package. `public` is safe to store and to show."""

    def __init__(self, message: str = "", *, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id

    @property
    def public(self) -> str:
        """TikTok's code, its words without personal data, and its request id."""
        words = PERSONAL.sub("[removed]", self.message)[:PUBLIC_LENGTH]
        parts = [f"TikTok {self.code}" if self.code else "TikTok", words or type(self).__name__]
        return ": ".join(parts) + (f" (request {self.request_id})" if self.request_id else "")

    def __str__(self) -> str:
        return self.public


class BadSignature(TikTokError):
    """The sender is not TikTok, or the secret is not ours."""


class Malformed(TikTokError):
    """TikTok signed it, but it does not have the documented shape."""


class Unavailable(TikTokError):
    """No answer, or none that counts: the same call may succeed later.

    `retry_after` is in seconds. `may_have_acted` is True when a write may have taken effect all the same.
    """

    def __init__(
        self,
        message: str = "",
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
    """The budget of calls, ours or TikTok's, is spent. Nothing was executed; `retry_after` is always set."""

    retry_after: float

    def __init__(self, message: str, *, retry_after: float, code: str = "", request_id: str = "") -> None:
        super().__init__(message, retry_after=retry_after, code=code, request_id=request_id)


class Rejected(TikTokError):
    """TikTok understood and said no. A person's turn."""


class AccessLost(Rejected):
    """The seller's grant is gone, or does not cover this call. Pauses the connection.

    `retry_daily` is True where the platform may lift the block by itself.
    """

    retry_daily = False


class TokenExpired(AccessLost):
    """The access token is not taken (any more). The client refreshes once before it lets this out."""


class WrongShop(AccessLost):
    """Token and cipher do not go together. The client fetches the shops once before it lets this out."""


class ShippingFault(StrEnum):
    """What a refused tracking push means for us (TikTok contract 5.5)."""

    ALREADY_DONE = "already_done"
    ON_HOLD = "on_hold"
    NOT_READY = "not_ready"
    CANCELLED = "cancelled"
    AFTER_SALE_OPEN = "after_sale_open"
    BAD_TRACKING = "bad_tracking"
    NOT_OURS = "not_ours"
    LINES = "lines"
    EDIT_LIMIT = "edit_limit"
    ACCESS = "access"
    UNKNOWN = "unknown"


def shipping_fault(code: str) -> ShippingFault:
    """The class of an error code of the ship and update calls; UNKNOWN for a code not in the table."""
    return SHIPPING_FAULTS.get(code, ShippingFault.UNKNOWN)


SHIPPING_FAULTS = {
    code: fault
    for fault, codes in {
        ShippingFault.ALREADY_DONE: "21008099 21011006 21011020 21011040 21042056 11006021 21011027",
        ShippingFault.ON_HOLD: "21011044",
        ShippingFault.NOT_READY: "21042057 10007002 21032001 21011003",
        ShippingFault.CANCELLED: "21011041 21011042 25001010",
        ShippingFault.AFTER_SALE_OPEN: "21011007 21008044 21021010",
        ShippingFault.BAD_TRACKING: "11028006 21004012 21004015 21004016 21011022 21011025 21011026 21034012",
        ShippingFault.NOT_OURS: (
            "21008025 21011004 21008042 21022025 21030006 21008106 21004010 21008026 21008013"
        ),
        ShippingFault.LINES: "21011029 21011033 21011035 21011036 21011046 21011048 21022028",
        ShippingFault.EDIT_LIMIT: "21011043 21011030 21011049 21011050 21011051 21011052",
        ShippingFault.ACCESS: "10006402 21008111 21011028",
    }.items()
    for code in codes.split()
}

THROTTLED = "36009002"
EXPIRED = "105002"
REQUEST_FAULT = "36009004"  # many faults under one code; the words say which (TikTok contract 9)
SCOPE_MISSING = "105005"
WRONG_SHOP = "101000"
VERSION_RETIRED = "36009014"

# Faults inside TikTok that pass (TikTok contract 5.5, 6.2 and 9).
PASSING_ORDERS = "36009003 36009007 10002014 10002015 10037002 10037003 10037004"
PASSING_SHIPPING = (
    "21001011 11001027 11001031 11006005 11006026 21001003 21001008 21001029 21001043 21001055 "
    "21008300 21022029 21022030 21034006"
)
PASSING_AFTER_SALE = "25001028 25001058 25007002"
PASSING = frozenset(f"{PASSING_ORDERS} {PASSING_SHIPPING} {PASSING_AFTER_SALE}".split())

# Faults of ours, in the request or the registration: the same call can never succeed (TikTok contract 9).
REQUEST_FAULTS = "106001 106013 36009009 36009010 36009014 36009021 36009022 36009023 36009033"
BAD_PARAMETERS = "25001001 21001001 11001002 11050001"
FINAL = frozenset(f"{REQUEST_FAULTS} {BAD_PARAMETERS}".split())

MEANINGS: dict[str, type[TikTokError]] = {
    **dict.fromkeys(FINAL | SHIPPING_FAULTS.keys(), Rejected),
    **dict.fromkeys(PASSING, Unavailable),
    THROTTLED: Busy,
    EXPIRED: TokenExpired,
    SCOPE_MISSING: AccessLost,
    WRONG_SHOP: WrongShop,
}

ADVICE = {
    SCOPE_MISSING: ". A permission is missing: connect TikTok again and grant all of them.",
    WRONG_SHOP: ". The permission does not open this shop: connect TikTok again with the shop's main account.",
}
