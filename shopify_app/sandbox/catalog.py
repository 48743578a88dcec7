"""The demo shop's products, among them the two kinds of SKU trouble: doubled, and different only by case."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shopify_app.sandbox.shop import ShopState

PRODUCTS = (
    ("Black tee", (("M", "TEE-BLK-M", "18.50"), ("L", "TEE-BLK-L", "18.50"))),
    ("Charcoal socks", (("L", "SOCK-CHR-L", "24.99"),)),
    ("White mug", (("Default Title", "MUG-WHT", "9.00"),)),
    ("Navy cap", (("Default Title", "CAP-NVY", "22.00"),)),
    ("Natural tote", (("Default Title", "TOTE-NAT", "15.75"),)),
    ("Grey hoodie", (("M", "HOODIE-GRY-M", "49.90"),)),
    ("Steel bottle", (("Default Title", "BOTTLE-STL", "27.50"),)),
    ("Poster A2", (("Default Title", "POSTER-A2", "12.40"),)),
    ("Fig candle", (("Default Title", "CANDLE-FIG", "19.95"),)),
    ("Double trouble", (("One", "DUP-1", "10.00"), ("Two", "DUP-1", "10.00"))),
    ("Black tee, kids", (("M", "tee-blk-m", "12.50"),)),
)


def stock_up(shop: ShopState) -> None:
    for title, variants in PRODUCTS:
        shop.add_product(title, variants, stock=1000)
