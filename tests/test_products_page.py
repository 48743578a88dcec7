"""The products page: what is linked, matched, searched, unlinked, and the CSV file, over both sandboxes."""

import csv
import io
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.utils import timezone

from connector import sku_list
from connector.models import SkuLink
from connector.states import OrderState
from tests.planting import connect
from tests.shopify_script import make_shop
from tests.test_pages import text
from tests.visits import Visitor


@pytest.fixture
def visitor(world):
    return Visitor(world.shop.domain)


def sku(code):
    return SkuLink.objects.get(seller_sku=code)


def toast(response):
    return json.loads(response["HX-Trigger"])["toast"]["words"]


def send_file(visitor, world, content):
    upload = SimpleUploadedFile("links.csv", content.encode() if isinstance(content, str) else content)
    return visitor.post("/products/import", connection=world.connection.pk, file=upload)


def test_the_lists_show_what_is_not_linked_in_conflict_and_linked(world, visitor):
    SkuLink.objects.filter(seller_sku="MUG-WHT").update(variant_gid="gid://shopify/ProductVariant/1")
    SkuLink.objects.filter(seller_sku="CAP-NVY").update(matches=2)
    for tab, there, count in (
        ("unlinked", "TOTE-NAT", 9),
        ("conflict", "CAP-NVY", 1),
        ("linked", "MUG-WHT", 1),
    ):
        page = text(visitor.open("/products", tab=tab))
        assert [code for code in ("TOTE-NAT", "CAP-NVY", "MUG-WHT") if code in page] == [there]
        assert sku_list.counts(world.connection)[tab] == count
    assert "2 variants have this SKU" in text(visitor.open("/products", tab="conflict"))
    assert "MUG-WHT" in text(visitor.open("/products", find="stoneware"))
    assert "No product fits &lt;b&gt;" in visitor.open("/products", find="<b>").content.decode()


def test_matching_shows_first_and_links_only_what_was_ticked(world, visitor):
    SkuLink.objects.filter(seller_sku="TOTE-NAT").update(seller_sku="DUP-1")
    page = visitor.open("/products/match", connection=str(world.connection.pk)).content.decode()
    assert "9 products have exactly one variant with their SKU" in page
    assert "(DUP-1): 2 variants" in page and "(TT-ONLY-7)" in page
    assert not SkuLink.objects.linked().exists()
    assert sku("DUP-1").matches == 2
    mug, cap = sku("MUG-WHT"), sku("CAP-NVY")
    chosen = [mug.sku_id, sku("DUP-1").sku_id, "1"]
    response = visitor.post("/products/match", connection=world.connection.pk, sku=chosen)
    assert toast(response) == "1 product linked."
    mug.refresh_from_db()
    cap.refresh_from_db()
    assert (mug.variant_gid, mug.by_hand) == (world.store.variant("MUG-WHT").id, False)
    assert cap.variant_gid == ""


def test_a_person_finds_the_variant_and_the_waiting_order_goes_on(world, visitor):
    order = world.placed(lines=[("TT-ONLY-7", 1)])
    assert order.reason == "sku_unmapped"
    keyring = sku("TT-ONLY-7")
    assert "Shopify finds nothing for “TT-ONLY-7”. Try a few words of its title." in text(
        visitor.open(f"/products/{keyring.pk}")
    )
    found = visitor.open(f"/products/{keyring.pk}", words="white").content.decode()
    variant = world.store.variant("MUG-WHT").id
    assert f'name="variant" value="{variant}"' in found
    response = visitor.post(f"/products/{keyring.pk}", variant=variant)
    assert toast(response).endswith("1 waiting order goes on.")
    assert response["HX-Push-Url"].startswith("/products?connection=")
    world.settle()
    assert world.order(order.tiktok_id).state == OrderState.ON_HOLD
    keyring.refresh_from_db()
    assert keyring.by_hand and "White mug" in keyring.variant_title


def test_a_variant_that_is_gone_is_not_linked(world, visitor):
    for gid in ("gid://shopify/ProductVariant/999", "gid://shopify/Order/1", ""):
        response = visitor.post(f"/products/{sku('MUG-WHT').pk}", variant=gid)
        assert "does not have that variant any more" in response.content.decode()
    assert not SkuLink.objects.linked().exists()


def test_unlinking_forgets_the_variant_and_keeps_the_product(world, visitor):
    SkuLink.objects.filter(seller_sku="MUG-WHT").update(
        variant_gid="gid://shopify/ProductVariant/1", by_hand=True
    )
    response = visitor.post(f"/products/{sku('MUG-WHT').pk}/unlink", tab="linked")
    assert "matched by its SKU again" in toast(response)
    assert (sku("MUG-WHT").variant_gid, sku("MUG-WHT").by_hand) == ("", False)


def test_reading_again_is_work_of_the_pull(world, visitor):
    SkuLink.objects.all().delete()
    visitor.post("/products/read", connection=world.connection.pk)
    assert not SkuLink.objects.exists()
    world.settle()
    assert SkuLink.objects.count() == 11


def test_the_file_goes_out_and_comes_back_unchanged(world, visitor):
    variant = world.store.variant("MUG-WHT")
    SkuLink.objects.filter(seller_sku="MUG-WHT").update(variant_gid=variant.id, title="=HYPERLINK(1)")
    response = visitor.fetch("/products/export", connection=str(world.connection.pk))
    content = response.getvalue()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(rows) == 11 and response["Content-Type"].startswith("text/csv")
    mug = next(row for row in rows if row["seller_sku"] == "MUG-WHT")
    assert mug["shopify_variant_id"] == variant.id.rpartition("/")[2]
    assert mug["tiktok_product"] == "'=HYPERLINK(1)"
    assert toast(send_file(visitor, world, content)) == "0 products linked."
    assert SkuLink.objects.linked().count() == 1


def test_a_file_links_by_id_or_by_sku_and_wakes_what_waited(world, visitor):
    order = world.placed(lines=[("TT-ONLY-7", 1)])
    mug = world.store.variant("MUG-WHT").id
    lines = [
        "TikTok_SKU_id;seller_sku;shopify_variant_id;shopify_sku",
        f"{sku('MUG-WHT').sku_id};;{mug.rpartition('/')[2]};",
        "1.73E+18;TT-ONLY-7;;CAP-NVY",  # a spreadsheet shortened the id
        ";TOTE-NAT;;",
    ]
    response = send_file(visitor, world, "\ufeff" + "\r\n".join(lines))
    assert toast(response) == "2 products linked. 1 waiting order goes on."
    assert sku("MUG-WHT").variant_gid == mug
    assert sku("TT-ONLY-7").variant_gid == world.store.variant("CAP-NVY").id
    assert sku("TOTE-NAT").variant_gid == ""
    world.settle()
    assert world.order(order.tiktok_id).state == OrderState.ON_HOLD


def test_a_file_with_one_wrong_line_changes_nothing_and_says_what_is_wrong_with_each(world, visitor):
    SkuLink.objects.filter(seller_sku="CANDLE-FIG").update(seller_sku="CAP-NVY")
    lines = [
        "seller_sku,shopify_variant_id,shopify_sku",
        "MUG-WHT,,MUG-WHT",
        "NOBODY,,MUG-WHT",
        "TOTE-NAT,999,",
        "POSTER-A2,,NOWHERE",
        "BOTTLE-STL,,DUP-1",
        "CAP-NVY,,MUG-WHT",
        "MUG-WHT,,CAP-NVY",
        ",,MUG-WHT",
        "TEE-BLK-M,abc,",
    ]
    page = text(send_file(visitor, world, "\n".join(lines)))
    for words in (
        "Line 3: TikTok lists no SKU “NOBODY” for this shop.",
        "Line 4: Shopify has no variant 999.",
        "Line 5: No Shopify variant has the SKU “NOWHERE”.",
        "Line 6: Several Shopify variants have the SKU “DUP-1”: give the id.",
        "Line 7: Several TikTok SKUs have the seller SKU “CAP-NVY”: give the id.",
        "Line 8: The same TikTok SKU stands in line 2.",
        "Line 9: The line names no TikTok SKU.",
        "Line 10: “abc” is not the id of a variant: digits only.",
    ):
        assert words in page
    assert not SkuLink.objects.linked().exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,price\na,b", "must name the columns"),
        ("seller_sku\nMUG-WHT", "must name a column shopify_variant_id"),
        (b"\xff\xfe\x00seller_sku", "is not text in UTF-8"),
        (b"x" * 2_000_001, "larger than 2 MB"),
        ("seller_sku,shopify_sku\nMUG-WHT,\x00\n" + '"' + "x" * 200_000, "This line is not CSV"),
    ],
)
def test_what_is_not_such_a_file_is_refused_with_a_sentence(world, visitor, content, words):
    assert words in text(send_file(visitor, world, content))


def test_no_file_is_a_sentence_too(world, visitor):
    response = visitor.post("/products/import", connection=world.connection.pk)
    assert "Choose a file first." in text(response)


def test_a_silent_shopify_is_said_above_the_page(world, visitor):
    world.shopify.faults.add("productVariants", "503")
    response = visitor.fetch(f"/products/{sku('MUG-WHT').pk}")
    assert (response.status_code, response["HX-Retarget"]) == (503, "#trouble")


def test_another_store_s_products_are_neither_shown_nor_touched(world, visitor):
    theirs = connect(make_shop(domain="other-store.myshopify.com"), "7495000000000000002", "Harbor Goods")
    row = SkuLink.objects.create(connection=theirs, sku_id="9", seller_sku="SECRET", title="Secret thing")
    key = str(theirs.pk)
    assert visitor.open("/products", connection=key).status_code == 404
    assert visitor.open("/products/match", connection=key).status_code == 404
    assert visitor.fetch("/products/export", connection=key).status_code == 404
    assert visitor.fetch(f"/products/{row.pk}").status_code == 404
    gid = world.store.variant("MUG-WHT").id
    for path, form in (
        (f"/products/{row.pk}", {"variant": gid}),
        (f"/products/{row.pk}/unlink", {}),
        ("/products/match", {"connection": key, "sku": "9"}),
        ("/products/read", {"connection": key}),
        ("/products/import", {"connection": key}),
    ):
        assert visitor.post(path, **form).status_code == 404, path
    row.refresh_from_db()
    assert row.variant_gid == ""
    assert "Secret thing" not in visitor.open("/products", find="SECRET").content.decode()


@pytest.mark.parametrize("tab", sku_list.TABS)
def test_paging_meets_every_product_once(world, tab):
    shared = {"connection": world.connection, "listed_at": timezone.now()}
    facts = {"unlinked": {}, "conflict": {"matches": 2}, "linked": {"variant_gid": "gid://1"}}[tab]
    SkuLink.objects.all().delete()
    SkuLink.objects.bulk_create(
        SkuLink(sku_id=str(i), title=f"Same {i // 60}", **shared, **facts) for i in range(120)
    )
    found, wish = [], sku_list.Wish(tab)
    while wish is not None:
        page = sku_list.page_of(world.connection, wish)
        found += [row.sku_id for row in page.skus]
        wish = sku_list.Wish(tab, after=page.after) if page.after else None
    assert sorted(found, key=int) == [str(i) for i in range(120)]


def test_every_list_reads_an_index_at_200_000_products(world):
    connections = [world.connection.pk, connect(world.shop, "7495000000000000002", "Harbor Goods").pk]
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO connector_skulink (connection_id, sku_id, seller_sku, product_id, title, matches,"
            " variant_gid, variant_title, by_hand, confirmed_at)"
            " SELECT (%s::bigint[])[1 + i %% 2], 'x' || i, 'S' || i, '', 'Title ' || i, i %% 3,"
            " CASE WHEN i %% 10 = 0 THEN '' ELSE 'gid' END, '', false, now() FROM generate_series(1, 200000) i",
            [connections],
        )
        cursor.execute("ANALYZE connector_skulink")
    for wish in [*(sku_list.Wish(tab) for tab in sku_list.TABS), sku_list.Wish("linked", after=100)]:
        rows = sku_list.beyond(sku_list.wished(world.connection, wish), wish.after)
        plan = rows.order_by("title", "pk")[:51].explain()
        assert "Seq Scan" not in plan and f"sku_{wish.tab}" in plan, plan
    for code in ("S7", "x7"):
        found = sku_list.page_of(world.connection, sku_list.Wish(find=code)).skus
        assert len(found) <= 51
    assert "Seq Scan" not in sku_list.wished(world.connection, sku_list.Wish(find="S7")).explain()
