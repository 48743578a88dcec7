"""Shipping providers TikTok knows and how it judges a tracking number (contract/carriers.json)."""

import functools
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Partners that hand parcels to USPS print USPS numbers: the company is trusted (TikTok contract 10.2).
USPS_PARTNERS = frozenset({"UPS", "FedEx", "DHL eCommerce", "OSM Worldwide", "Asendia US"})
# Domestic numbers may carry another check digit; 21-character ids exist (TikTok contract 10.3).
ROYAL_MAIL_UNPROVEN = re.compile(r"^(?:[A-Z]{2}\d{9}GB|[A-Z0-9]{21})$")
NUMBER = re.compile(r"^[A-Za-z0-9._/-]*$")


@dataclass(frozen=True, slots=True)
class Provider:
    id: str
    name: str
    market: str


@dataclass(frozen=True, slots=True)
class Format:
    id: str
    provider: str
    pattern: re.Pattern[str]
    high: bool
    distinctive: bool  # proves its own carrier without being told the company


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` refuses the number; `warning` accepts it with doubt; both empty means it fits."""

    code: int = 0
    message: str = ""
    warning: str = ""


def providers(market: str) -> list[Provider]:
    return [provider for provider in _providers() if provider.market == market]


def provider_named(market: str, name: str) -> Provider:
    return next(provider for provider in providers(market) if provider.name == name)


def judge(provider: Provider, number: str) -> Verdict:
    """Whether a cleaned number can belong to the provider (TikTok contract 10.3)."""
    own = [form for form in _formats() if form.provider == provider.name]
    if any(fits(form, number) for form in own):
        return Verdict()
    owners = sorted({form.provider for form in _formats() if form.distinctive and fits(form, number)})
    if "USPS" in owners and provider.name in USPS_PARTNERS and number[:2] in ("92", "93"):
        return Verdict(warning="The tracking number may belong to a partner of the shipping provider.")
    if provider.name == "Royal Mail" and ROYAL_MAIL_UNPROVEN.match(number):
        return Verdict(warning="The tracking number could not be verified.")
    if any(form.high and form.pattern.match(number) for form in own):
        return Verdict(
            21004015, "The tracking number does not match the shipping provider: wrong check digit"
        )
    if owners and provider.name not in owners:
        if any(form.high for form in own) or not own:
            return Verdict(
                21004015, f"The tracking number does not match the shipping provider; try {owners[0]}"
            )
        return Verdict(warning=f"The tracking number looks like one of {owners[0]}.")
    if any(form.high for form in own):
        return Verdict(11028006, "The tracking number matches no shipping provider")
    return Verdict(warning="The tracking number could not be matched with any shipping provider.")


def fits(form: Format, number: str) -> bool:
    """Shape and, where the format has one, check digit."""
    hit = form.pattern.match(number)
    if not hit:
        return False
    check = CHECKS.get(form.id)
    return check is None or check(hit["s"]) == hit["c"]


def new_number(provider: str, rng: random.Random) -> str:
    """A fresh valid number of a well-known carrier."""
    digits = "".join(str(rng.randrange(10)) for _ in range(24))
    recipes: dict[str, Callable[[], str]] = {
        "USPS": lambda: _checked("usps_impb", "94001" + digits[:16], "{s}{c}"),
        "UPS": lambda: _checked("ups_1z", digits[:15], "1Z{s}{c}"),
        "FedEx": lambda: _checked("fedex_12", digits[:11], "{s}{c}"),
        "DHL express": lambda: _checked("dhl_express", "1" + digits[:8], "{s}{c}"),
        "Amazon Logistics": lambda: "TBA" + digits[:12],
        "Gofo Express": lambda: "GFUS" + digits[:14],
        "OnTrac": lambda: _checked("ontrac_c", digits[:13], "C{s}{c}"),
        "Royal Mail": lambda: _checked("s10_gb", digits[:8], "AB{s}{c}GB"),
        "EVRi": lambda: "H0" + digits[:14],
        "Yodel UK": lambda: "JD" + digits[:16],
        "DPD UK": lambda: digits[:14],
        "Parcel Force": lambda: "PB" + digits[:7],
    }
    return recipes[provider]()


def _checked(form: str, serial: str, shape: str) -> str:
    return shape.format(s=serial, c=CHECKS[form](serial))


def _ups(serial: str) -> str:
    values = [int(char) if char.isdigit() else (ord(char) - 3) % 10 for char in serial]
    return str(-sum(value * (1 + index % 2) for index, value in enumerate(values)) % 10)


def _gs1(serial: str) -> str:
    return str(
        -sum(int(char) * (3 if index % 2 == 0 else 1) for index, char in enumerate(reversed(serial))) % 10
    )


def _s10(serial: str) -> str:
    rest = (
        11
        - sum(int(char) * weight for char, weight in zip(serial, (8, 6, 4, 2, 3, 5, 9, 7), strict=True)) % 11
    )
    return str({10: 0, 11: 5}.get(rest, rest))


def _weighted(serial: str, weights: tuple[int, ...]) -> str:
    total = sum(int(char) * weights[index % len(weights)] for index, char in enumerate(serial))
    return str(total % 11 % 10)


def _mod10_with_prefix(prefix: str) -> Callable[[str], str]:
    def check(serial: str) -> str:
        total = sum(int(char) * (1 + index % 2) for index, char in enumerate(prefix + serial))
        return str(-total % 10)

    return check


def _luhn(serial: str) -> str:
    total = 0
    for index, char in enumerate(reversed(serial)):
        value = int(char) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _mod37(serial: str) -> str:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    product = 36
    for char in serial:
        product = (product + alphabet.index(char)) % 36 or 36
        product = product * 2 % 37
    return alphabet[(37 - product) % 36]


CHECKS: dict[str, Callable[[str], str]] = {
    "ups_1z": _ups,
    "ups_waybill": _ups,
    "usps_impb": _gs1,
    "usps_20": _gs1,
    "s10_us": _s10,
    "fedex_12": lambda serial: _weighted(serial, (3, 1, 7)),
    "fedex_15": _gs1,
    "fedex_96_22": _gs1,
    "fedex_34": lambda serial: _weighted(serial, (1, 7, 3)),
    "dhl_express": lambda serial: str(int(serial) % 7),
    "ontrac_c": _mod10_with_prefix("4"),
    "ontrac_d": _mod10_with_prefix("5"),
    "odfl": _luhn,
    "dpd_14": _mod37,
}
CHECKS["s10_gb"] = _s10


@functools.cache
def _providers() -> tuple[Provider, ...]:
    return tuple(Provider(row["id"], row["name"], row["market"]) for row in _data()["providers"])


@functools.cache
def _formats() -> tuple[Format, ...]:
    return tuple(
        Format(
            id=row["id"],
            provider=row["tiktok_provider"],
            pattern=re.compile(row["regex"]),
            high=row["confidence"].startswith(("high", "shape high")),
            distinctive=row["confidence"].startswith("high") and "when company says" not in row["confidence"],
        )
        for row in _data()["formats"]
    )


def _data() -> Any:
    return json.loads((Path(__file__).parent / "contract" / "carriers.json").read_text("utf-8"))
