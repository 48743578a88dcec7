"""Product links as a CSV file, out and in. A file with one wrong line changes nothing."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from connector.export import inert, plain
from connector.matching import title_of
from connector.models import Connection, SkuLink
from connector.platforms import shopify_for
from shopify_app.orders import Variant

COLUMNS = (
    "tiktok_sku_id",
    "seller_sku",
    "tiktok_product",
    "shopify_variant_id",
    "shopify_sku",
    "shopify_variant",
)
LARGEST_FILE = 2_000_000  # bytes
AT_ONCE = 2_000  # SKUs in memory, of a file that goes out
MOST_CHANGES = 1_000  # lines that need Shopify: 20 searches of 50 SKUs
VARIANT = "gid://shopify/ProductVariant/"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line of the file; line 1 is the header, 0 the whole file."""

    line: int
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line that wants a link changed: its variant by id or, where that is empty, by SKU."""

    number: int
    sku: SkuLink
    variant_id: str
    shopify_sku: str


class Refused(Exception):
    """The file was not taken; `faults` says why, line by line."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


# ---- out -----------------------------------------------------------------------------------------


def written(connection: Connection) -> Iterator[str]:
    """The lines of the file, all SKUs of the connection."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for sku in SkuLink.objects.filter(connection=connection).order_by("title", "pk").iterator(AT_ONCE):
        variant = sku.variant_gid.removeprefix(VARIANT)
        row = (sku.sku_id, sku.seller_sku, sku.title, variant, "", sku.variant_title)
        writer.writerow([inert(cell) for cell in row])
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


# ---- in ------------------------------------------------------------------------------------------


def read(connection: Connection, content: bytes) -> dict[str, tuple[str, str]]:
    """The links that a file asks for, by TikTok SKU id: (variant gid, title). Changes nothing. Raises Refused."""
    faults: list[Fault] = []
    lines = list(lines_of(connection, rows_of(content), faults))
    if len(lines) > MOST_CHANGES:
        words = _("%(n)s lines change a link; a file may change %(most)s. Split it.")
        raise Refused([Fault(0, words % {"n": len(lines), "most": MOST_CHANGES})])
    variants = variants_of(connection, lines, faults)
    if faults:
        raise Refused(sorted(faults, key=lambda fault: fault.line))
    return {line.sku.sku_id: (variants[line.number].id, title_of(variants[line.number])) for line in lines}


def rows_of(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by column name."""
    if len(content) > LARGEST_FILE:
        raise Refused([Fault(0, _("The file is larger than 2 MB."))])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused([Fault(0, _("The file is not text in UTF-8: save it as “CSV UTF-8”."))]) from None
    delimiter = ";" if text.partition("\n")[0].count(";") > text.partition("\n")[0].count(",") else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not {"tiktok_sku_id", "seller_sku"} & set(header):
            raise Refused([Fault(1, _("The first line must name the columns: tiktok_sku_id or seller_sku."))])
        if not {"shopify_variant_id", "shopify_sku"} & set(header):
            words = _("The first line must name a column shopify_variant_id or shopify_sku.")
            raise Refused([Fault(1, words)])
        for cells in reader:
            yield reader.line_num, dict(zip(header, map(plain, cells), strict=False))
    except csv.Error:
        raise Refused([Fault(reader.line_num, _("This line is not CSV."))]) from None


def lines_of(
    connection: Connection, rows: Iterable[tuple[int, dict[str, str]]], faults: list[Fault]
) -> Iterator[Line]:
    """The lines that change something; what is wrong with the others goes to `faults`."""
    by_id, by_sku = known_skus(connection)
    seen: dict[str, int] = {}
    for number, row in rows:
        variant_id = row.get("shopify_variant_id", "").removeprefix(VARIANT)
        shopify_sku = row.get("shopify_sku", "")
        if not variant_id and not shopify_sku:
            continue  # nothing is said about this one
        try:
            sku = named(row, by_id, by_sku)
            if variant_id and not variant_id.isdecimal():
                raise ValueError(_("“%(id)s” is not the id of a variant: digits only.") % {"id": variant_id})
            if sku.sku_id in seen:
                raise ValueError(_("The same TikTok SKU stands in line %(n)s.") % {"n": seen[sku.sku_id]})
        except ValueError as error:
            faults.append(Fault(number, str(error)))
            continue
        seen[sku.sku_id] = number
        if not variant_id or sku.variant_gid != f"{VARIANT}{variant_id}":
            yield Line(number, sku, variant_id, shopify_sku)


def known_skus(connection: Connection) -> tuple[dict[str, SkuLink], dict[str, list[SkuLink]]]:
    by_id: dict[str, SkuLink] = {}
    by_sku: dict[str, list[SkuLink]] = {}
    for sku in SkuLink.objects.filter(connection=connection).iterator(2_000):
        by_id[sku.sku_id] = sku
        by_sku.setdefault(sku.seller_sku, []).append(sku)
    return by_id, by_sku


def named(row: dict[str, str], by_id: dict[str, SkuLink], by_sku: dict[str, list[SkuLink]]) -> SkuLink:
    """The SKU of a line. A spreadsheet may have rounded a long id: then the seller SKU tells. ValueError."""
    sku_id, seller_sku = row.get("tiktok_sku_id", ""), row.get("seller_sku", "")
    if sku_id in by_id:
        return by_id[sku_id]
    same = by_sku.get(seller_sku, []) if seller_sku else []
    if len(same) == 1:
        return same[0]
    if same:
        raise ValueError(
            _("Several TikTok SKUs have the seller SKU “%(sku)s”: give the id.") % {"sku": seller_sku}
        )
    if not (sku_id or seller_sku):
        raise ValueError(_("The line names no TikTok SKU."))
    raise ValueError(_("TikTok lists no SKU “%(sku)s” for this shop.") % {"sku": sku_id or seller_sku})


def variants_of(connection: Connection, lines: list[Line], faults: list[Fault]) -> dict[int, Variant]:
    """The variant of each line, by line number, as Shopify has it now."""
    shopify = shopify_for(connection.shop)
    ids = sorted({f"{VARIANT}{line.variant_id}" for line in lines if line.variant_id})
    skus = sorted({line.shopify_sku for line in lines if not line.variant_id})
    by_id = {variant.id: variant for variant in shopify.get_variants(ids)} if ids else {}
    by_sku: dict[str, list[Variant]] = {}
    for variant in shopify.find_variants(skus) if skus else ():
        by_sku.setdefault(variant.sku, []).append(variant)
    found: dict[int, Variant] = {}
    for line in lines:
        same = (
            [by_id[gid]]
            if (gid := f"{VARIANT}{line.variant_id}") in by_id
            else by_sku.get(line.shopify_sku, [])
        )
        if line.variant_id and gid not in by_id:
            words = _("Shopify has no variant %(id)s.") % {"id": line.variant_id}
        elif not same:
            words = _("No Shopify variant has the SKU “%(sku)s”.") % {"sku": line.shopify_sku}
        elif len(same) > 1:
            words = _("Several Shopify variants have the SKU “%(sku)s”: give the id.") % {
                "sku": line.shopify_sku
            }
        else:
            found[line.number] = same[0]
            continue
        faults.append(Fault(line.number, words))
    return found
