"""Carriers as the warehouse knows them: tracking numbers that pass the carrier's own check, and tracking pages.

Number formats are those that the carriers publish; check digits as in tracking_number_data 2.0.0.
"""

from collections.abc import Callable
from random import Random

PAGES = {
    "UPS": "https://www.ups.com/WebTracking?loc=en_US&requester=ST&trackNums={}",
    "USPS": "https://tools.usps.com/go/TrackConfirmAction_input?qtc_tLabels1={}",
    "FedEx": "https://www.fedex.com/fedextrack/?trknbr={}",
    "DHL Express": "https://www.dhl.com/en/express/tracking.html?AWB={}",
    "OnTrac": "https://www.ontrac.com/tracking/?number={}",
    "Royal Mail": "https://www.royalmail.com/track-your-item#/tracking-results/{}",
    "Evri": "https://www.evri.com/track/parcel/{}",
}


def tracking_url(company: str | None, number: str) -> str | None:
    """Shopify builds a link only for a company it knows by this very spelling (Shopify contract 7)."""
    page = PAGES.get(company or "")
    return page.format(number) if page else None


def tracking_number(company: str, random: Random) -> str:
    """A number that this carrier could have printed. KeyError for a carrier without a known format."""
    return MAKERS[company](random)


def _ups(random: Random) -> str:
    body = "".join(random.choices("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", k=6)) + "03" + _digits(random, 7)
    values = [int(c) if c.isdigit() else (ord(c) - 3) % 10 for c in body]
    total = sum(value * (2 if place % 2 else 1) for place, value in enumerate(values))
    return f"1Z{body}{-total % 10}"


def _usps(random: Random) -> str:
    body = "9400" + _digits(random, 17)
    return body + _gs1(body)


def _fedex(random: Random) -> str:
    body = "79" + _digits(random, 9)
    total = sum(int(c) * weight for c, weight in zip(body, (3, 1, 7) * 4, strict=False))
    return f"{body}{total % 11 % 10}"


def _dhl_express(random: Random) -> str:
    body = "3" + _digits(random, 8)
    return f"{body}{int(body) % 7}"


def _amazon(random: Random) -> str:
    return "TBA" + _digits(random, 12)


def _ontrac(random: Random) -> str:
    body = "1" + _digits(random, 12)
    total = sum(int(c) * (2 if place % 2 else 1) for place, c in enumerate("4" + body))
    return f"C{body}{-total % 10}"


def _royal_mail(random: Random) -> str:
    body = _digits(random, 8)
    check = 11 - sum(int(c) * weight for c, weight in zip(body, (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11
    return f"RM{body}{ {10: 0, 11: 5}.get(check, check) }GB"


def _evri(random: Random) -> str:
    return "H0" + "".join(random.choices("0123456789ABCDEFGHJKLMNPRSTUVWXYZ", k=4)) + _digits(random, 10)


def _gs1(body: str) -> str:
    total = sum(int(c) * (3 if place % 2 == 0 else 1) for place, c in enumerate(reversed(body)))
    return str(-total % 10)


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices("0123456789", k=count))


MAKERS: dict[str, Callable[[Random], str]] = {
    "UPS": _ups,
    "USPS": _usps,
    "FedEx": _fedex,
    "DHL Express": _dhl_express,
    "Amazon": _amazon,
    "OnTrac": _ontrac,
    "Royal Mail": _royal_mail,
    "Evri": _evri,
}
