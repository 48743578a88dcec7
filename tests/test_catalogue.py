"""TikTok's catalogue and carriers, read by the connection's pull."""

from datetime import timedelta

from django.utils import timezone

from connector.models import Connection, SkuLink


def read_again(world):
    Connection.objects.update(listing_due_at=timezone.now(), due_at=timezone.now())
    world.settle()
    world.connection.refresh_from_db()


def test_connecting_reads_every_sku_and_the_carriers_of_the_shop(world):
    world.connection.refresh_from_db()
    skus = dict(SkuLink.objects.values_list("seller_sku", "title"))
    assert len(skus) == 11 and skus["MUG-WHT"] == "Stoneware Mug"
    assert not SkuLink.objects.linked().exists()
    names = [provider["name"] for provider in world.connection.providers]
    assert "USPS" in names and names == sorted(names, key=str.casefold)
    assert world.connection.products_read_at and world.connection.listing_words == ""
    assert world.connection.listing_due_at > timezone.now() + timedelta(hours=23)


def test_reading_again_keeps_links_and_forgets_what_tiktok_no_longer_lists(world):
    mug = SkuLink.objects.get(seller_sku="MUG-WHT")
    SkuLink.objects.filter(pk=mug.pk).update(variant_gid="gid://shopify/ProductVariant/1", title="Old name")
    listed = {"connection": world.connection, "listed_at": timezone.now() - timedelta(days=2)}
    SkuLink.objects.create(sku_id="1", **listed)
    SkuLink.objects.create(sku_id="2", variant_gid="gid://shopify/ProductVariant/2", **listed)
    SkuLink.objects.create(sku_id="3", connection=world.connection)  # an order named it
    read_again(world)
    mug.refresh_from_db()
    assert (mug.title, mug.variant_gid) == ("Stoneware Mug", "gid://shopify/ProductVariant/1")
    assert set(SkuLink.objects.exclude(seller_sku="").values_list("seller_sku")) >= {("MUG-WHT",)}
    assert set(SkuLink.objects.filter(seller_sku="").values_list("sku_id", flat=True)) == {"2", "3"}


def test_a_catalogue_that_tiktok_refuses_holds_up_no_order_and_says_why(world):
    world.tiktok.take_scope("Product Basic")
    read_again(world)
    assert world.connection.paused_reason == ""
    assert "105005" in world.connection.listing_words
    assert timezone.now() < world.connection.listing_due_at < timezone.now() + timedelta(minutes=16)
    assert world.placed().state == "on_hold"
    world.tiktok.violations.clear()


def test_an_order_with_an_unknown_sku_puts_it_on_the_products_page(world):
    SkuLink.objects.all().delete()
    order = world.placed(lines=[("TT-ONLY-7", 1)])
    assert order.reason == "sku_unmapped"
    link = SkuLink.objects.get(seller_sku="TT-ONLY-7")
    assert (link.variant_gid, link.matches) == ("", 0)
    assert link.sku_id == order.detail["lines"][0]["sku_id"]
