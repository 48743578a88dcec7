"""Carrier names and tracking numbers, against the provider names TikTok lists."""

from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector import carriers
from connector.carriers import DATA, FORMATS, STRENGTH, check, clean, fits, normalise, resolve, split_numbers


class Provider(NamedTuple):
    id: str
    name: str


def listed(*names: str) -> list[Provider]:
    return [Provider(str(7_000_000_000_000_000_000 + n), name) for n, name in enumerate(names)]


# TikTok contract 10.1, names only. The misspelt "Tusk Logisitics" is TikTok's.
US = listed(
    *[
        "USPS",
        "UPS",
        "FedEx",
        "DHL express",
        "DHL eCommerce",
        "Amazon Logistics",
        "UniUni",
        "Gofo Express",
        "LaserShip",
        "OnTrac",
        "Veho",
        "OSM Worldwide",
        "TForce",
        "Better Trucks",
        "Asendia US",
        "Yanwen",
        "AxleHire",
        "Lone Star Overnight",
        "Deliver-it",
        "GLS US",
        "GLS USA",
        "Spee-Dee Delivery",
        "Wizmo",
        "Speedx",
        "First Mile",
        "DoorDash",
        "ACI Logistix",
        "GPS",
        "Weee",
        "Cirro",
        "PiggyShip",
        "Western Post",
        "DeliverDirect",
        "Cainiao US",
        "Tusk Logisitics",
        "Ceva Logistics",
        "Pilot Freight Services",
        "Mainfreight",
        "Freightquote by C.H. Robinson",
        "Tazmanian Freight Systems",
        "Metropolitan",
        "ABF Freight",
        "Saia Inc.",
        "Daylight Transport",
        "Day & Ross Freight",
        "Southeastern Freight Lines",
        "Roadrunner Freight",
        "Dayton Freight Lines",
        "Fastfrate Group",
        "CrossCountry Freight Solutions",
        "PS Logistics",
        "JP Express",
        "Tax-Air",
        "Oak Harbor Freight Lines",
        "DHL Heavyweight",
        "UPS Heavyweight",
        "XPO",
        "Estes Express Lines",
        "R+L Carriers",
        "Central Transport",
        "Averitt Express",
        "Pitt Ohio",
        "AAA Cooper Transportation",
        "A. Duie Pyle",
        "Old Dominion Freight Line USA",
    ]
)
GB = listed(
    *[
        "EVRi",
        "DHL UK",
        "Yodel UK",
        "UK Mail",
        "DPD UK",
        "DX Delivery",
        "Royal Mail",
        "Parcel Force",
        "APC Overnight",
        "Panther UK",
        "Amazon Logistics UK",
    ]
)
LIVE = {"US": US, "GB": GB}


def name_of(company: str, number: str = "", region: str = "US", **more) -> str:
    return resolve(
        company, number, more.pop("providers", LIVE[region]), more.pop("links", {}), region, **more
    ).provider_name


# Names that other connectors promise (SHOPLINE's and SKUIQ's lists), with what TikTok calls them.
@pytest.mark.parametrize(
    ("company", "provider"),
    [
        ("Asendia US", "Asendia US"),
        ("USPS", "USPS"),
        ("UPS", "UPS"),
        ("FedEx", "FedEx"),
        ("LaserShip", "LaserShip"),
        ("OnTrac", "OnTrac"),
        ("Better Trucks", "Better Trucks"),
        ("TForce", "TForce"),
        ("DHL eCommerce", "DHL eCommerce"),
        ("DHL", "DHL express"),
        ("Amazon Logistics", "Amazon Logistics"),
        ("AxleHire", "AxleHire"),
        ("Lone Star Overnight", "Lone Star Overnight"),
        ("Deliver-it", "Deliver-it"),
        ("GLS US", "GLS US"),
        ("Spee-Dee Delivery", "Spee-Dee Delivery"),
        ("Wizmo", "Wizmo"),
        ("First Mile", "First Mile"),
    ],
)
def test_every_promised_american_carrier_resolves(company, provider):
    assert name_of(company) == provider


@pytest.mark.parametrize(
    ("company", "provider"),
    [
        ("EVRi", "EVRi"),
        ("DHL UK", "DHL UK"),
        ("Yodel UK", "Yodel UK"),
        ("UK Mail", "UK Mail"),
        ("DPD UK", "DPD UK"),
        ("DX Delivery", "DX Delivery"),
        ("Royal Mail", "Royal Mail"),
        ("Parcel Force", "Parcel Force"),
        ("Panther UK", "Panther UK"),
        ("Amazon Logistics", "Amazon Logistics UK"),
        ("Amazon Shipping UK", "Amazon Logistics UK"),
    ],
)
def test_every_promised_british_carrier_resolves(company, provider):
    assert name_of(company, region="GB") == provider


@pytest.mark.parametrize("region", ["US", "GB"])
def test_every_published_spelling_resolves_to_its_provider(region):
    for provider, spellings in DATA["aliases"][region].items():
        for spelling in spellings:
            assert name_of(spelling, region=region) == provider, spelling


@pytest.mark.parametrize("region", ["US", "GB"])
def test_every_listed_name_resolves_to_itself_however_it_is_written(region):
    for provider in LIVE[region]:
        for written in (provider.name, provider.name.upper(), f" {provider.name.replace(' ', '-')} "):
            assert resolve(written, "", LIVE[region], {}, region).provider_id == provider.id


@pytest.mark.parametrize("region", ["US", "GB"])
def test_a_carrier_that_tiktok_does_not_know_stops_and_is_never_guessed_from_its_number(region):
    for company in DATA["no_provider"][region]:
        found = resolve(company, "1Z410E7W0392751591", LIVE[region], {}, region)
        assert (found.provider_id, found.problem) == ("", "carrier_not_supported"), company


def test_a_carrier_that_tiktok_lists_after_all_is_used_although_our_table_says_it_has_none():
    assert name_of("UPS", region="GB", providers=listed("Royal Mail", "UPS UK")) == "UPS UK"
    assert name_of("Sendle", providers=listed("Sendle")) == "Sendle"


def test_the_merchants_mapping_serves_a_carrier_without_provider_by_id_or_by_name():
    assert name_of("Sendle", links={"sendle": US[0].id}) == US[0].name
    assert name_of("Sendle", links={"sendle": "ups"}) == "UPS"
    assert resolve("Sendle", "", US, {"sendle": US[0].id}, "US").how == "merchant"


def test_a_mapping_to_what_is_no_longer_listed_is_a_question():
    assert resolve("Sendle", "", US, {"sendle": "404"}, "US").problem == "carrier_not_supported"


def test_the_fallback_serves_what_nothing_else_explains_and_is_marked():
    for company in ("Sendle", "Uncle Bob", ""):
        found = resolve(company, "123", US, {}, "US", fallback=US[1].id)
        assert (found.provider_name, found.how) == (US[1].name, "fallback")
    assert resolve("Uncle Bob", "123", US, {}, "US", fallback="404").problem == "carrier_unknown"


def test_a_known_carrier_that_this_delivery_option_does_not_list_is_not_supported():
    found = resolve("USPS", "9400111899223100001984", listed("UPS", "FedEx"), {}, "US")
    assert (found.provider_id, found.problem) == ("", "carrier_not_supported")


def test_an_unknown_company_is_read_from_a_number_that_can_only_be_one_carriers():
    assert resolve("Uncle Bob", "1z 410e7w 0392751591", US, {}, "US").how == "format"
    assert name_of("", "TBA000000000000") == "Amazon Logistics"
    assert name_of("", "420102829400111899223100001984") == "USPS"


@pytest.mark.parametrize(
    "number", ["420112139261290983497923666238", "477179081230", "1Z410E7W0392751590", "ABC"]
)
def test_a_number_that_several_carriers_print_or_that_is_wrong_names_nobody(number):
    found = resolve("Uncle Bob", number, US, {}, "US")
    assert (found.provider_id, found.problem) == ("", "carrier_unknown")


def test_a_question_comes_with_the_carriers_it_could_be():
    found = resolve("", "RM123456785GB", GB, {}, "GB")
    assert [provider.name for provider in found.candidates] == ["Royal Mail", "Parcel Force"]


@pytest.mark.parametrize(
    ("number", "provider"),
    [
        ("1099255990", "DHL express"),
        (
            "1099255991",
            "DHL express",
        ),  # a wrong digit is the number's fault, not a question about the carrier
        ("JJD0099999999", "DHL express"),
        ("GM2951173225174494", "DHL eCommerce"),
        ("51087693037816", "DHL eCommerce"),
        ("9261290983497923666238", "DHL eCommerce"),
    ],
)
def test_a_bare_dhl_is_told_by_its_number(number, provider):
    assert name_of("DHL", number) == provider


def test_a_bare_dhl_with_a_strange_number_is_a_question_with_both():
    found = resolve("dhl", "ZZ1", US, {}, "US")
    assert found.problem == "carrier_unknown"
    assert [provider.name for provider in found.candidates] == ["DHL express", "DHL eCommerce"]


def test_a_named_dhl_stays_what_it_was_named():
    assert name_of("DHL eCommerce", "1099255990") == "DHL eCommerce"
    assert name_of("DHL", "1099255990", region="GB") == "DHL UK"


def test_merged_brands_go_by_the_number_and_else_stand_in_for_each_other():
    assert name_of("OnTrac", "LA28372694") == "LaserShip"
    assert name_of("Lasership", "C10999911320231") == "OnTrac"
    assert name_of("Lasership", "C10999911320231", providers=listed("LaserShip")) == "LaserShip"
    assert name_of("OnTrac", "LA28372694", providers=listed("OnTrac")) == "OnTrac"
    assert name_of("OnTrac", "", providers=listed("LaserShip")) == "LaserShip"
    assert name_of("GLS", "", providers=listed("GLS USA")) == "GLS USA"
    assert name_of("GLS USA", "", providers=listed("GLS US")) == "GLS US"
    assert check("OnTrac", "LA28372694").level == "ok"


def test_a_gofo_number_is_gofos_even_when_the_label_says_cirro():
    assert name_of("CIRRO", "GFUS01011884214272") == "Gofo Express"
    assert name_of("CIRRO", "123456") == "Cirro"
    assert name_of("CIRRO", "123456", providers=listed("Gofo Express")) == ""


def test_the_companys_word_stands_for_a_number_that_several_carriers_print():
    assert name_of("UPS SurePost", "9261290983497923666238") == "UPS"
    for provider in ("UPS", "FedEx", "DHL eCommerce", "OSM Worldwide", "Asendia US", "USPS"):
        assert check(provider, "9261290983497923666238").level == "ok"


words = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)
some_company = st.one_of(
    words,
    st.sampled_from([s for region in DATA["aliases"].values() for names in region.values() for s in names]),
    st.sampled_from(DATA["no_provider"]["US"]),
)
some_number = st.one_of(words, st.sampled_from([example for f in FORMATS for example in f.examples]))


@given(
    some_company,
    some_number,
    st.lists(st.sampled_from(US + GB), max_size=6),
    st.dictionaries(words.map(normalise), words),
    st.sampled_from(["US", "GB", "UK", "DE", ""]),
    st.one_of(st.none(), st.sampled_from([p.id for p in US])),
)
def test_nothing_but_a_listed_provider_is_ever_returned(company, number, providers, links, region, fallback):
    found = resolve(company, number, providers, links, region, fallback=fallback)
    assert (found.problem is None) == ((found.provider_id, found.provider_name) in set(providers))
    assert set(found.candidates) <= set(providers)


@given(words)
def test_cleaning_twice_changes_nothing(text):
    assert clean(clean(text)) == clean(text)


@given(st.sampled_from([e for f in FORMATS for e in f.examples]), st.data())
def test_cleaning_undoes_every_way_of_writing_a_number(number, data):
    fillers = st.sampled_from(["", " ", "-", "\u00a0", "\u2011", "\u2013", "\u200b", "\u2212", "\t"])
    written = "".join(c.lower() + data.draw(fillers) for c in number)
    assert clean(written) == number
    assert split_numbers(written) == [number]


def test_wide_letters_become_plain_ones():
    assert clean("１Ｚ４１０ｅ") == "1Z410E"


@given(
    st.lists(st.sampled_from([e for f in FORMATS for e in f.examples]), min_size=1, max_size=4, unique=True)
)
@pytest.mark.parametrize("separator", [",", "; ", " / ", "\n", "\r\n", " and ", " AND ", " & ", "，"])
def test_several_numbers_in_one_field_come_apart(separator, numbers):
    assert split_numbers(separator.join(numbers)) == numbers


def test_a_space_parts_only_what_is_whole_by_itself():
    assert split_numbers("1Z410E7W0392751591 1Z5R89390357567127") == [
        "1Z410E7W0392751591",
        "1Z5R89390357567127",
    ]
    assert split_numbers("9400 1118 9922 3100 0019 84") == ["9400111899223100001984"]


@pytest.mark.parametrize("number", ["AB12/3456", "LSO/1234/5678", "RM.2026/11-30", "1Z410E7W0392751591/2"])
def test_a_slash_within_a_number_stays_in_it(number):
    assert split_numbers(f" {number.lower()} ") == [clean(number)]


@pytest.mark.parametrize("slash", ["/", "／", "/ "])
@pytest.mark.parametrize(
    "numbers",
    [
        ["1Z410E7W0392751591", "1Z5R89390357567127"],
        ["1Z410E7W0392751592", "1Z5R89390357567128"],  # mistyped, and no others all the same
        ["477179081230", "TBA000000000000", "9400111899223100001984"],
    ],
)
def test_a_slash_parts_numbers_that_are_known_as_such(numbers, slash):
    assert split_numbers(slash.join(numbers)) == numbers


def test_a_slash_with_nothing_beside_it_is_no_part_of_a_number():
    assert split_numbers("1Z410E7W0392751591 /") == ["1Z410E7W0392751591"]
    assert split_numbers(" / ") == []


def test_a_field_without_a_number_has_none():
    assert split_numbers(" , \n - ") == []
    assert split_numbers("SAND, SAND") == ["SAND"]


def test_every_published_valid_number_is_accepted_for_its_carrier():
    for form in FORMATS:
        for example in form.examples:
            for provider in form.providers:
                assert check(provider, example).level == "ok", (provider, example)
                assert check(provider, f" {example[:4]} {example[4:].lower()}-").level == "ok"


def test_a_carrier_that_publishes_no_format_passes():
    assert check("First Mile", "ANYTHING-1234").level == "ok"
    assert check("Veho", "AB").reason == "number_invalid"


@pytest.mark.parametrize(
    ("number", "reason", "detail"),
    [
        ("", "number_missing", ""),
        (" \u00a0-", "number_missing", ""),
        ("AB1", "number_invalid", "length"),
        ("A" * 51, "number_invalid", "length"),
        ("ABC#1234", "number_invalid", "characters"),
        ("ÄBC1234", "number_invalid", "characters"),
        ("１٢٣٤٥", "number_invalid", "characters"),
    ],
)
def test_what_tiktok_refuses_for_every_carrier_is_blocked(number, reason, detail):
    verdict = check("First Mile", number)
    assert (verdict.level, verdict.reason, verdict.detail) == ("block", reason, detail)


S10 = [("USPS", "LZ123456785US"), ("Royal Mail", "RM123456785GB"), ("Parcel Force", "PF123456785GB")]


@pytest.mark.parametrize(("provider", "number"), S10)
def test_the_postal_unions_check_digit_is_known(provider, number):
    assert check(provider, number).level == "ok"


@pytest.mark.parametrize(
    ("provider", "number", "level"),
    [
        ("UPS", "1Z410E7W0392751592", "block"),
        ("USPS", "9400111899223100001985", "block"),
        ("USPS", "LZ123456784US", "block"),
        ("FedEx", "477179081231", "block"),
        ("FedEx", "041441760228965", "block"),
        ("FedEx", "9611020987654312345673", "block"),
        ("DHL express", "1099255991", "block"),
        ("OnTrac", "C10999911320232", "block"),
        ("OnTrac", "D10011342332146", "block"),
        ("Parcel Force", "PF123456784GB", "block"),
        ("UPS", "J4603636538", "warn"),
        ("USPS", "03071790000523483742", "warn"),
        ("FedEx", "1001901781990001000300617767839438", "warn"),
        ("Old Dominion Freight Line USA", "07209562764", "warn"),
        ("Royal Mail", "RM123456784GB", "warn"),
        ("DPD UK", "09980000020033G", "warn"),
        ("UPS", "9261290983497923666239", "warn"),
    ],
)
def test_a_spoiled_check_digit_blocks_where_the_format_is_sure_and_warns_where_it_is_not(
    provider, number, level
):
    verdict = check(provider, number)
    assert (verdict.level, verdict.reason, verdict.detail) == (level, "number_invalid", "check_digit")


@given(
    st.sampled_from(
        [(f, e) for f in FORMATS if f.check and f.strength == STRENGTH["high"] for e in f.examples]
    ),
    st.data(),
)
def test_every_other_check_digit_than_the_right_one_blocks(case, data):
    form, example = case
    wrong = data.draw(st.sampled_from("0123456789"))
    assume(wrong != example[-1])
    assert check(form.providers[0], example[:-1] + wrong).level == "block"


def test_one_digit_typos_are_caught_at_the_stated_rate():
    """1,164 of 1,183 by the contract's own count, a typo being one more than the digit."""
    typos = [
        (form, typo)
        for form in FORMATS
        if form.check
        for example in form.examples
        for typo in _typos(form, example)
    ]
    caught = [typo for form, typo in typos if not form.check_digit_ok(typo)]
    assert len(typos) > 500
    assert len(caught) / len(typos) >= 0.98


def _typos(form: carriers.Format, number: str) -> list[str]:
    match = form.pattern.fullmatch(number)
    assert match
    covered = [i for group in ("s", "c") for i in range(*match.span(group)) if number[i].isdigit()]
    changed = [number[:i] + str((int(number[i]) + 1) % 10) + number[i + 1 :] for i in covered]
    return [typo for typo in changed if form.pattern.fullmatch(typo)]


def test_a_number_of_another_carrier_is_refused_and_says_whose_it_is():
    verdict = check("USPS", "1Z410E7W0392751591")
    assert (verdict.level, verdict.reason, verdict.belongs_to) == (
        "block",
        "number_mismatch",
        ("UPS", "UPS UK"),
    )
    assert check("FedEx", "TBA000000000000").reason == "number_mismatch"
    assert check("EVRi", "RM123456785GB").belongs_to == ("Royal Mail", "Parcel Force")


def test_a_reseller_with_another_carriers_number_is_only_warned():
    verdict = check("PiggyShip", "1Z410E7W0392751591")
    assert (verdict.level, verdict.reason) == ("warn", "number_mismatch")


@pytest.mark.parametrize(
    "carrier",
    ["UPS", "USPS", "FedEx", "DHL express", "OnTrac", "Amazon Logistics", "Gofo Express", "LaserShip"],
)
def test_a_shape_that_the_carrier_never_published_only_warns(carrier):
    verdict = check(carrier, "HELLO12345")
    assert (verdict.level, verdict.reason, verdict.detail) == (
        "warn",
        "number_unlike_carrier",
        "unknown_format",
    )


def test_a_partner_prints_only_the_numbers_that_do_not_tell_their_carrier():
    assert check("UPS", "9261290983497923666238").level == "ok"
    assert check("UPS", "9400111899223100001984").level == "block"


def test_trying_a_number_lists_whose_it_can_be_the_surest_first():
    found = fits("1z410e7w0392751591")
    assert (found[0].provider_name, found[0].format_id, found[0].check_ok, found[0].alone) == (
        "UPS",
        "ups_1z",
        True,
        True,
    )
    assert {fit.provider_name for fit in fits("51087693037816")} == {"DHL eCommerce", "DPD UK", "DHL UK"}
    assert fits("??") == []


def test_no_format_accepts_everything_when_trying_a_number():
    assert "Veho" not in {fit.provider_name for f in FORMATS for e in f.examples for fit in fits(e)}
