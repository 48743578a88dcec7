"""Carrier names and tracking numbers: what merchants type in Shopify into what TikTok lists. Pure.

Names, number formats and check digits are data (carriers.json, TikTok contract 10). Provider ids are never
kept here: they belong to a delivery option and come live from TikTok.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

How = Literal["", "exact", "alias", "merchant", "format", "fallback", "person"]
Level = Literal["ok", "warn", "block"]
Detail = Literal["", "characters", "length", "check_digit", "other_carrier", "unknown_format"]

SHORTEST, LONGEST = 4, 50  # TikTok contract 5.2
ACCEPTED = re.compile(r"[A-Z0-9\-_./]*")
SEPARATORS = re.compile(r"[,;|\r\n，；、]|\s+(?:and|&|\+|/|／)\s+", re.IGNORECASE)
SLASH = re.compile("[/／]")
MINUS = "\N{MINUS SIGN}"  # a mathematical sign to Unicode, a hyphen to whoever pasted it
STRENGTH = {"none": 0, "low": 1, "medium": 2, "high": 3}
DATA: dict[str, Any] = json.loads(Path(__file__).with_name("carriers.json").read_text(encoding="utf-8"))


class Provider(Protocol):
    """A row of TikTok's live list."""

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Resolution:
    """The provider a fulfillment's company stands for, or `problem`: a code of connector.reasons.

    `how` says which rule found it; `candidates` are the listed providers a person can choose from.
    """

    provider_id: str = ""
    provider_name: str = ""
    how: How = ""
    problem: str | None = None
    candidates: tuple[Provider, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a number may go to TikTok.

    `reason` is a code of connector.reasons, `detail` what is wrong, `belongs_to` whose number it looks like.
    """

    level: Level
    format_id: str = ""
    reason: str = ""
    detail: Detail = ""
    belongs_to: tuple[str, ...] = ()


class Fit(NamedTuple):
    """A format whose shape a number has. `check_ok` is None where the format has no check digit.

    `alone` means that the number tells its carrier without a company.
    """

    provider_name: str
    format_id: str
    check_ok: bool | None
    alone: bool


@dataclass(frozen=True, slots=True)
class Format:
    """One published shape of tracking numbers. Partners print the same shape under their own name."""

    id: str
    providers: tuple[str, ...]
    partners: tuple[str, ...]
    pattern: re.Pattern[str]
    check: str
    strength: int
    alone: bool
    shared_prefixes: tuple[str, ...]
    examples: tuple[str, ...]

    def check_digit_ok(self, number: str) -> bool | None:
        """None without a check digit; the number is cleaned and has this shape."""
        parts = self._groups(number)
        serial, digit = parts.get("s"), parts.get("c")
        if not self.check or serial is None or digit is None:
            return None
        return CHECK_DIGITS[self.check](serial) == digit

    def tells_carrier(self, number: str) -> bool:
        """Whether this number can only be this carrier's (TikTok contract 10.2: 92 and 93 are shared)."""
        serial = self._groups(number).get("s") or ""
        return self.alone and not serial.startswith(self.shared_prefixes)

    def _groups(self, number: str) -> dict[str, str | None]:
        match = self.pattern.fullmatch(number)
        return match.groupdict() if match else {}


@dataclass(frozen=True, slots=True)
class Family:
    """Providers whose names people mix up. Merged brands stand in for each other."""

    providers: tuple[str, ...]
    companies: frozenset[str]
    merged: bool


# Cleaning


def clean(text: str) -> str:
    """A number as TikTok wants it: no spaces, hyphens or invisible characters of any script, upper case."""
    return "".join(map(_plain, text))


def split_numbers(text: str) -> list[str]:
    """The cleaned numbers of one tracking field, each once. A space separates only numbers that are whole by
    themselves, and a slash between letters or digits only numbers that are known as such: one may be part of a number.
    """
    found: list[str] = []
    for piece in SEPARATORS.split(text):
        words, parts = ([*map(clean, pieces)] for pieces in (piece.split(), SLASH.split(piece)))
        if len(words) > 1 and all(map(_is_proven, words)):
            found += words
        else:
            found += parts if all(map(_is_known, parts)) else [clean(piece).strip("/")]
    return list(dict.fromkeys(filter(None, found)))


def normalise(name: str) -> str:
    """The form in which carrier names are compared: lower case letters and digits of any script only."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


@cache
def _plain(character: str) -> str:
    """Character by character, so that cleaning twice changes nothing."""
    kept = [c for c in unicodedata.normalize("NFKC", character) if not _is_filler(c)]
    return "".join(c.upper() if c.isascii() else c for c in kept)


def _is_filler(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "ZC" or category == "Pd" or character == MINUS


def _is_proven(number: str) -> bool:
    return any(fit.alone and fit.check_ok for fit in fits(number))


def _is_known(number: str) -> bool:
    return any(fit.alone or fit.check_ok for fit in fits(number))


# Which provider


def resolve(
    company: str,
    number: str,
    providers: Sequence[Provider],
    links: Mapping[str, str],
    region: str,
    *,
    fallback: str | None = None,
) -> Resolution:
    """Find the company's provider in TikTok's live list.

    In this order: the live list's own name, our table of spellings, the merchant's mapping (`links`:
    normalised company to provider id or name), the number's format, the merchant's `fallback` (an id).
    What is not listed is never returned. `region` is the ISO country of the shop.
    """
    listed = {normalise(p.name): p for p in reversed(providers)}
    key, number, region = normalise(company), clean(number), _country(region)

    known = _by_name(key, number, listed, region)
    if known.provider_id:
        return known
    linked = _linked(links.get(key, ""), providers)
    if linked:
        return _found(linked, "merchant")
    unsupported = key in _without_provider(region)
    if not unsupported and known.problem is None:
        by_format = _by_format(number, listed)
        if by_format.provider_id:
            return by_format
        known = by_format
    chosen = _linked(fallback or "", providers)
    if chosen:
        return _found(chosen, "fallback")
    if unsupported:
        return Resolution(problem="carrier_not_supported")
    return known


def _by_name(key: str, number: str, listed: Mapping[str, Provider], region: str) -> Resolution:
    """What the company's name alone says; a problem where the name is known and cannot be followed."""
    name = _provider_name(key, listed, region)
    if not name:
        return Resolution()
    how: How = "exact" if key in listed else "alias"
    family = _family_of(name, key)
    if family is None:
        return _listed_or_unsupported(name, listed, how)
    told = [member for member in family.providers if _has_shape_of(member, number)]
    if len(told) == 1 and normalise(told[0]) in listed:
        return _found(listed[normalise(told[0])], how if told[0] == name else "alias")
    members = tuple(listed[normalise(member)] for member in family.providers if normalise(member) in listed)
    if key in family.companies and number and len(members) > 1:
        return Resolution(problem="carrier_unknown", candidates=members)
    if family.merged and normalise(name) not in listed and members:
        return _found(members[0], "alias")
    return _listed_or_unsupported(name, listed, how)


def _provider_name(key: str, listed: Mapping[str, Provider], region: str) -> str:
    """The provider a company's name means, listed or not. Yodel is also Yodel UK."""
    if key in listed:
        return listed[key].name
    alias = _aliases(region).get(key, "")
    if alias and normalise(alias) in listed:
        return alias
    with_market = (key + suffix for suffix in MARKET_SUFFIXES.get(region, ()) if key)
    return next((listed[name].name for name in with_market if name in listed), alias)


def _listed_or_unsupported(name: str, listed: Mapping[str, Provider], how: How) -> Resolution:
    provider = listed.get(normalise(name))
    return _found(provider, how) if provider else Resolution(problem="carrier_not_supported")


def _by_format(number: str, listed: Mapping[str, Provider]) -> Resolution:
    """The one listed provider whose number this must be; several, or none for sure, are a question."""
    seen = [fit for fit in fits(number) if fit.check_ok is not False]
    proven = _listed_of((fit.provider_name for fit in seen if fit.alone), listed)
    if len(proven) == 1:
        return _found(proven[0], "format")
    possible = proven or _listed_of((fit.provider_name for fit in seen), listed)
    return Resolution(problem="carrier_unknown", candidates=possible)


def _listed_of(names: Iterable[str], listed: Mapping[str, Provider]) -> tuple[Provider, ...]:
    return tuple(listed[key] for key in dict.fromkeys(map(normalise, names)) if key in listed)


def _linked(wanted: str, providers: Sequence[Provider]) -> Provider | None:
    """By id, else by name: TikTok does not promise that ids stay, or are the same everywhere."""
    if not wanted:
        return None
    same_id = next((p for p in providers if p.id == wanted), None)
    return same_id or next((p for p in providers if normalise(p.name) == normalise(wanted)), None)


def _found(provider: Provider, how: How) -> Resolution:
    return Resolution(provider.id, provider.name, how)


# Whether the number is one


def check(provider_name: str, number: str) -> Verdict:
    """Judge a number before TikTok sees it: that takes one correction, within 72 hours (TikTok contract 5.2).

    A failed check digit blocks where the format is certain and warns where it is not. A shape that none of the
    carrier's formats has warns: carriers print more than they publish (TikTok contract 10.3). What only another carrier
    prints blocks; a carrier without published formats passes. A partner's numbers pass only where they do not tell
    their own carrier (TikTok contract 10.2).
    """
    number = clean(number)
    if not number:
        return Verdict("block", reason="number_missing")
    if not ACCEPTED.fullmatch(number):
        return Verdict("block", reason="number_invalid", detail="characters")
    if not SHORTEST <= len(number) <= LONGEST:
        return Verdict("block", reason="number_invalid", detail="length")
    shaped = [
        (f, surety, f.check_digit_ok(number))
        for f, surety in _formats_of(provider_name)
        if f.pattern.fullmatch(number) and (_is_own(f, provider_name) or not f.tells_carrier(number))
    ]
    return _judge(shaped) if shaped else _judge_stranger(provider_name, number)


def _judge(shaped: list[tuple[Format, int, bool | None]]) -> Verdict:
    """A fitting check digit settles it; else the surest of the formats that the number has the shape of."""
    proven = next((f for f, _, ok in shaped if ok), None)
    if proven:
        return Verdict("ok", proven.id)
    surest, surety, ok = max(shaped, key=lambda row: (row[1], row[2] is None))
    if ok is None:
        return Verdict("ok", surest.id)
    level: Level = "block" if surety >= STRENGTH["high"] else "warn"
    return Verdict(level, surest.id, "number_invalid", "check_digit")


def _judge_stranger(provider_name: str, number: str) -> Verdict:
    """A number that has no shape of its provider: another carrier's, or one nobody published."""
    own = _own_formats(frozenset({normalise(provider_name)}))
    others = [fit for fit in fits(number) if fit.alone and fit.check_ok is not False]
    if others:
        level: Level = "block" if own else "warn"
        owners = tuple(dict.fromkeys(fit.provider_name for fit in others))
        return Verdict(level, others[0].format_id, "number_mismatch", "other_carrier", owners)
    if own:
        return Verdict("warn", reason="number_unlike_carrier", detail="unknown_format")
    return Verdict("ok")


def fits(number: str) -> list[Fit]:
    """Every carrier whose published format the number has, the telling ones first."""
    number = clean(number)
    found = [
        Fit(name, f.id, f.check_digit_ok(number), f.tells_carrier(number))
        for f in FORMATS
        if f.strength and f.pattern.fullmatch(number)
        for name in f.providers
    ]
    return sorted(found, key=lambda fit: (not fit.alone, not fit.check_ok))


def _is_own(format: Format, provider_name: str) -> bool:
    return normalise(provider_name) not in map(normalise, format.partners)


def _has_shape_of(provider_name: str, number: str) -> bool:
    return any(f.pattern.fullmatch(number) for f, _ in _printed_by(frozenset({normalise(provider_name)})))


@cache
def _formats_of(provider_name: str) -> tuple[tuple[Format, int], ...]:
    """The formats of a provider and of the brands merged with it."""
    family = _family_of(provider_name, "")
    merged = family.providers if family and family.merged else ()
    return _printed_by(frozenset(map(normalise, (provider_name, *merged))))


@cache
def _printed_by(names: frozenset[str]) -> tuple[tuple[Format, int], ...]:
    """Formats and how sure each is: less where a partner prints another's numbers."""
    partner = [f for f in FORMATS if names & set(map(normalise, f.partners))]
    return (
        *((f, f.strength) for f in _own_formats(names)),
        *((f, min(f.strength, STRENGTH["medium"])) for f in partner),
    )


@cache
def _own_formats(names: frozenset[str]) -> tuple[Format, ...]:
    return tuple(f for f in FORMATS if f.strength and names & set(map(normalise, f.providers)))


# Check digits: the serial in, the digit it must end with out


def _weighted(serial: str, weights: Sequence[int]) -> int:
    return sum(int(c) * weights[i % len(weights)] for i, c in enumerate(serial))


def _gs1(serial: str) -> str:
    return str(-_weighted(serial[::-1], (3, 1)) % 10)


def _ups(serial: str) -> str:
    """Letters count as (ASCII - 3) mod 10."""
    digits = "".join(c if c.isdigit() else str((ord(c) - 3) % 10) for c in serial)
    return str(-_weighted(digits, (1, 2)) % 10)


def _prefixed(prefix: str, serial: str) -> str:
    return str(-_weighted(prefix + serial, (1, 2)) % 10)


def _s10(serial: str) -> str:
    rest = 11 - _weighted(serial, (8, 6, 4, 2, 3, 5, 9, 7)) % 11
    return str({10: 0, 11: 5}.get(rest, rest))


def _fedex(weights: Sequence[int], serial: str) -> str:
    return str(_weighted(serial, weights) % 11 % 10)


def _mod7(serial: str) -> str:
    return str(int(serial) % 7)


def _luhn(serial: str) -> str:
    doubled = (int(c) * (2 if i % 2 == 0 else 1) for i, c in enumerate(serial[::-1]))
    return str(-sum(n - 9 if n > 9 else n for n in doubled) % 10)


def _iso7064_37_36(serial: str) -> str:
    rest = 36
    for c in serial:
        rest = (rest + int(c, 36)) % 36 or 36
        rest = rest * 2 % 37
    return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(37 - rest) % 36]


CHECK_DIGITS: dict[str, Callable[[str], str]] = {
    "gs1": _gs1,
    "ups": _ups,
    "s10": _s10,
    "fedex_express": partial(_fedex, (3, 1, 7)),
    "fedex_barcode": partial(_fedex, (1, 7, 3)),
    "mod7": _mod7,
    "ontrac_c": partial(_prefixed, "4"),
    "ontrac_d": partial(_prefixed, "5"),
    "luhn": _luhn,
    "iso7064_37_36": _iso7064_37_36,
}


# The data file

MARKET_SUFFIXES = {"US": ("us", "usa"), "GB": ("uk",)}
FORMATS = tuple(
    Format(
        id=row["id"],
        providers=tuple(row["providers"]),
        partners=tuple(row.get("partners", ())),
        pattern=re.compile(row["regex"], re.ASCII),
        check=row["check"],
        strength=STRENGTH[row["confidence"]],
        alone=row["alone"],
        shared_prefixes=tuple(row.get("shared_prefixes", ())),
        examples=tuple(row["valid_examples"]),
    )
    for row in DATA["formats"]
)
FAMILIES = tuple(
    Family(tuple(row["providers"]), frozenset(map(normalise, row["companies"])), row["merged"])
    for row in DATA["ambiguous"]
)


def _country(region: str) -> str:
    return {"UK": "GB"}.get(region.upper(), region.upper())


@cache
def _aliases(region: str) -> dict[str, str]:
    table: dict[str, list[str]] = DATA["aliases"].get(region, {})
    spellings = {normalise(spelling): name for name, spellings in table.items() for spelling in spellings}
    return spellings | {normalise(name): name for name in table}


@cache
def _without_provider(region: str) -> frozenset[str]:
    return frozenset(map(normalise, DATA["no_provider"].get(region, ())))


def _family_of(name: str, key: str) -> Family | None:
    """The mixed-up names this one belongs to. Where only a bare company is unclear (DHL), it must be that."""
    for family in FAMILIES:
        if name in family.providers and (not family.companies or key in family.companies):
            return family
    return None
