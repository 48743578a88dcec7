"""Which TikTok carrier each carrier name of Shopify means for a connection, and what we would do with a number."""

from collections.abc import Sequence
from dataclasses import dataclass

from connector import carriers, sql
from connector.carriers import Fit, Resolution, Verdict
from connector.models import CarrierLink, Connection
from shopify_app.models import Shop
from tiktok.records import Provider

MOST_NAMES = 200

# A loose index scan: a store has millions of parcels and a dozen carrier names.
SEEN = """
WITH RECURSIVE seen(company) AS (
    (SELECT company FROM connector_parcel WHERE shop_id = %(shop)s ORDER BY company LIMIT 1)
    UNION ALL
    SELECT (SELECT company FROM connector_parcel
            WHERE shop_id = %(shop)s AND company > seen.company ORDER BY company LIMIT 1)
    FROM seen WHERE seen.company IS NOT NULL
)
SELECT company FROM seen WHERE company <> '' LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class CarrierName:
    """A carrier as Shopify writes it, and the provider it means. `seen`: on a fulfillment of this store."""

    company: str
    seen: bool
    found: Resolution


@dataclass(frozen=True, slots=True)
class Trial:
    """What would happen to a tracking number: the carriers it fits, and what we would send."""

    number: str
    fits: tuple[Fit, ...]
    found: Resolution
    verdict: Verdict | None

    @property
    def sent(self) -> bool:
        return self.verdict is not None and self.verdict.level != "block"


def providers_of(connection: Connection) -> list[Provider]:
    return [Provider(id=row["id"], name=row["name"]) for row in connection.providers]


def links_of(connection: Connection) -> dict[str, str]:
    return dict(CarrierLink.objects.filter(connection=connection).values_list("company", "provider_id"))


def names_of(connection: Connection) -> list[CarrierName]:
    """Every name that was seen, linked, or is known for the region; what has no provider yet comes first."""
    providers, links = providers_of(connection), links_of(connection)
    region = connection.tiktok_shop.region
    seen = seen_names(connection.shop)
    names = {carriers.normalise(name): name for name in (*known_names(region), *seen)}
    on_parcels = {carriers.normalise(name) for name in seen}
    known = [
        CarrierName(
            company=names.get(key, key),
            seen=key in on_parcels,
            found=carriers.resolve(names.get(key, key), "", providers, links, region),
        )
        for key in dict.fromkeys([*names, *links])
    ]
    return sorted(known, key=lambda row: (bool(row.found.provider_id), not row.seen, row.company.casefold()))


def known_names(region: str) -> list[str]:
    """How Shopify writes the carriers that TikTok has in this region."""
    table: dict[str, list[str]] = carriers.DATA["aliases"].get(region, {})
    return [spellings[0] for spellings in table.values()]


def seen_names(shop: Shop) -> list[str]:
    return [company for (company,) in sql.rows(SEEN, {"shop": shop.pk, "most": MOST_NAMES})]


def is_name(company: str) -> bool:
    return bool(carriers.normalise(company))


def try_number(connection: Connection, company: str, number: str) -> list[Trial]:
    """The same judgement that a fulfillment gets, for each number in the text; nothing is sent."""
    providers, links = providers_of(connection), links_of(connection)
    return [trial(connection, company, one, providers, links) for one in carriers.split_numbers(number)[:5]]


def trial(
    connection: Connection, company: str, number: str, providers: Sequence[Provider], links: dict[str, str]
) -> Trial:
    fallback = connection.policy.fallback_provider or None
    region = connection.tiktok_shop.region
    found = carriers.resolve(company, number, providers, links, region, fallback=fallback)
    verdict = carriers.check(found.provider_name, number) if found.provider_id else None
    return Trial(number, tuple(carriers.fits(number)), found, verdict)
