"""Invented buyers, odd enough that a leak can be searched for, and TikTok's masking of them."""

import random
from dataclasses import dataclass, fields
from typing import Any

# fmt: off
SYLLABLES = (
    "bran", "quil", "thor", "wex", "zan", "mor", "fel", "gri", "hol", "ked", "lund", "mer", "nash",
    "orr", "pel", "rud", "sark", "tov", "ulm", "vex", "wyl", "yar", "dru", "esk", "fon", "gam",
)
FIRST_NAMES = (
    "Avery", "Bodhi", "Celia", "Dario", "Elspeth", "Farid", "Greta", "Hollis", "Imani", "Jonas",
    "Keiko", "Lorcan", "Mabel", "Nadia", "Osric", "Petra", "Quentin", "Rhea", "Soren", "Tamsin",
    "Ulric", "Vesna", "Wanda", "Xavier", "Yusuf", "Zelda", "Zoë", "Łukasz", "Aña", "Jürgen",
)
# What stands around a last name: many have letters and signs that every format spells in a way of its own.
LAST_NAMES = ("{}", "{}", "{}", "O'{}", "{} & Söhne", "O'{} & Söhne", "{}-Åström")
# fmt: on
STREET_KINDS = ("Street", "Avenue", "Lane", "Road", "Terrace", "Court")
US_PLACES = (
    # city, county, state, code, start of the postal code, tax rate
    ("Austin", "Travis", "Texas", "TX", "787", "0.0825"),
    ("Portland", "Multnomah", "Oregon", "OR", "972", "0"),
    ("Denver", "Denver", "Colorado", "CO", "802", "0.0881"),
    ("Chicago", "Cook", "Illinois", "IL", "606", "0.1025"),
    ("Brooklyn", "Kings", "New York", "NY", "112", "0.08875"),
    ("Seattle", "King", "Washington", "WA", "981", "0.1035"),
)
GB_PLACES = (
    ("Bristol", "England", "BS1 4"),
    ("Leeds", "England", "LS2 8"),
    ("Cardiff", "Wales", "CF10 2"),
    ("Glasgow", "Scotland", "G12 8"),
    ("Norwich", "England", "NR3 1"),
)
MASK = "****"


@dataclass(slots=True)
class Buyer:
    """A person and the place a parcel goes to, unmasked."""

    user_id: str
    first_name: str
    last_name: str
    phone: str
    email: str
    nickname: str
    avatar: str
    address_line1: str
    address_line2: str
    city: str
    county: str
    state: str
    state_code: str
    postal_code: str
    region: str
    tax_rate: str = "0"
    drop_off: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.name or f"{self.first_name} {self.last_name}".strip()

    @property
    def household(self) -> tuple[str, ...]:
        """What must be equal for two orders to travel in one parcel."""
        return (self.name, self.address_line1, self.address_line2, self.postal_code, self.region)

    @property
    def full_address(self) -> str:
        country = "United States" if self.region == "US" else "United Kingdom"
        parts = (self.address_line1, self.address_line2, self.city, self.state, self.postal_code, country)
        return ", ".join(part for part in parts if part)

    def personal_values(self) -> set[str]:
        """Texts that must never be found outside: long and odd enough not to occur by chance."""
        digits = "".join(char for char in self.phone if char.isdigit())
        values = {self.name, self.last_name, self.phone, digits[-10:], self.email, self.nickname, self.avatar}
        values |= {self.address_line1, self.full_address}
        return {value for value in values if len(value) > 5}

    def changed(self, **values: str) -> "Buyer":
        """A copy with other values; a new first or last name makes a new name."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        if {"first_name", "last_name"} & values.keys():
            kept["name"] = ""
        return Buyer(**{**kept, **values})


def invent(rng: random.Random, region: str) -> Buyer:
    """A buyer whose names, street, phone and alias are unlikely to occur anywhere else."""
    first = rng.choice(FIRST_NAMES)
    last = rng.choice(LAST_NAMES).format(_word(rng, 4).capitalize())
    token = f"{rng.randrange(36**6):07d}"
    buyer = Buyer(
        user_id=f"7494{rng.randrange(10**15):015d}",
        first_name=first,
        last_name=last,
        phone="",
        email=f"v{_word(rng, 3)}{token}@chat.seller.tiktok.com",
        nickname=f"{_word(rng, 3)}_{token}",
        avatar=f"https://p16-sign.example.com/avatar/{_word(rng, 3)}{token}.jpeg",
        address_line1=f"{rng.randrange(10, 9900)} {_word(rng, 3).capitalize()} {rng.choice(STREET_KINDS)}",
        address_line2=rng.choice(("", "", f"Apt {rng.randrange(1, 60)}")),
        city="",
        county="",
        state="",
        state_code="",
        postal_code="",
        region=region,
    )
    if region == "GB":
        buyer.city, buyer.state, area = rng.choice(GB_PLACES)
        buyer.postal_code = f"{area}{rng.choice('ABDEFGHJLN')}{rng.choice('PQRSTUWXYZ')}"
        buyer.phone = f"(+44)7{rng.randrange(10**9):09d}"
        return buyer
    buyer.city, buyer.county, buyer.state, buyer.state_code, area, buyer.tax_rate = rng.choice(US_PLACES)
    buyer.postal_code = f"{area}{rng.randrange(100):02d}"
    buyer.phone = f"(+1){rng.randrange(201, 990)}{rng.randrange(200, 999)}{rng.randrange(10000):04d}"
    buyer.drop_off = rng.choice(("", "Front Door"))
    return buyer


def address_json(buyer: Buyer) -> dict[str, Any]:
    """The whole recipient address of the contract, nothing hidden (TikTok contract 4.5)."""
    address: dict[str, Any] = {
        "full_address": buyer.full_address,
        "phone_number": buyer.phone,
        "name": buyer.name,
        "first_name": buyer.first_name,
        "last_name": buyer.last_name,
        "region_code": buyer.region,
        "postal_code": buyer.postal_code,
        "address_line1": buyer.address_line1,
        "address_line2": buyer.address_line2,
        "address_line3": "",
        "address_line4": "",
        "address_detail": f"{buyer.address_line1} {buyer.address_line2}".strip(),
        "district_info": _districts(buyer),
    }
    if buyer.region == "GB":
        address["post_town"] = buyer.city
    if buyer.drop_off:
        address["delivery_preferences"] = {"drop_off_location": buyer.drop_off}
    return address


def held_address(buyer: Buyer, style: str) -> dict[str, Any] | None:
    """The address of an order whose address is not out yet: starred, districts, empty, missing or none."""
    address = address_json(buyer)
    address.pop("delivery_preferences", None)
    if "post_town" in address:
        address["post_town"] = ""
    hide_person(address)
    hide_street(address)
    address["postal_code"] = starred(buyer.postal_code)
    address["full_address"] = ""
    if style == "none":
        return None
    if style == "districts":
        hide_districts(address, 3)
        address["full_address"] = MASK
    else:
        address["district_info"] = []
    if style == "empty":
        address = {key: [] if key == "district_info" else "" for key in address} | {
            "region_code": buyer.region
        }
    if style == "missing":
        address = {
            key: value
            for key, value in address.items()
            if key != "full_address" and not key.startswith(("address_", "district", "post"))
        }
    return address


def hide_person(address: dict[str, Any]) -> None:
    hide_phone(address)
    for key in ("name", "first_name", "last_name"):
        address[key] = " ".join(starred(word) for word in address[key].split())


def hide_phone(address: dict[str, Any]) -> None:
    country = address["phone_number"].split(")")[0] + ")"
    address["phone_number"] = f"{country}***-***-**"


def hide_street(address: dict[str, Any]) -> None:
    for key in ("address_line1", "address_line2", "address_detail", "full_address"):
        address[key] = MASK if address[key] else ""
    if "delivery_preferences" in address:
        address["delivery_preferences"] = {"drop_off_location": MASK}


def hide_districts(address: dict[str, Any], from_level: int) -> None:
    for district in address["district_info"]:
        if int(district["address_level"][1]) >= from_level:
            district["address_name"] = MASK


def starred(word: str) -> str:
    """J*** for Jordan."""
    return word[:1] + "*" * min(max(len(word) - 1, 1), 4) if word else ""


def _districts(buyer: Buyer) -> list[dict[str, str]]:
    if buyer.region == "GB":
        return [
            _district("L0", "Country", "United Kingdom", "GB"),
            _district("L1", "State", buyer.state),
            _district("L2", "City", buyer.city),
        ]
    return [
        _district("L0", "Country", "United States", "US"),
        _district("L1", "State", buyer.state, buyer.state_code),
        _district("L2", "County", buyer.county),
        _district("L3", "City", buyer.city),
    ]


def _district(level: str, kind: str, name: str, iso_code: str = "") -> dict[str, str]:
    entry = {"address_level_name": kind, "address_name": name, "address_level": level}
    return entry | {"iso_code": iso_code} if iso_code else entry


def _word(rng: random.Random, syllables: int) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(syllables))
