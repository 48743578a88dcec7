"""The demo catalogue: the SKUs of the Shopify demo store and one that only TikTok knows."""

import zlib
from dataclasses import dataclass
from decimal import Decimal

DEMO = (
    # seller SKU, product, variant, price
    ("TEE-BLK-M", "Organic Cotton Tee", "Black, M", "18.50"),
    ("TEE-BLK-L", "Organic Cotton Tee", "Black, L", "18.50"),
    ("SOCK-CHR-L", "Merino Crew Socks", "Charcoal, L", "24.99"),
    ("MUG-WHT", "Stoneware Mug", "White", "9.00"),
    ("CAP-NVY", "Canvas Cap", "Navy", "22.00"),
    ("TOTE-NAT", "Everyday Tote", "Natural", "15.75"),
    ("HOODIE-GRY-M", "Heavy Hoodie", "Grey, M", "49.90"),
    ("BOTTLE-STL", "Insulated Bottle", "Steel", "27.50"),
    ("POSTER-A2", "Letterpress Poster", "A2", "12.40"),
    ("CANDLE-FIG", "Soy Candle", "Fig", "19.95"),
    ("TT-ONLY-7", "TikTok Exclusive Keyring", "Default", "14.00"),
)


@dataclass(frozen=True, slots=True)
class Sku:
    """What a shop lists: `price` is the list price of one unit."""

    sku_id: str
    product_id: str
    seller_sku: str
    product_name: str
    sku_name: str
    price: Decimal

    @property
    def image(self) -> str:
        return f"https://p16-oes.example.com/img/{self.sku_id}.jpeg"


def demo_skus(shop_id: str) -> dict[str, Sku]:
    """The demo listing of one shop by seller SKU; ids differ from shop to shop."""
    return {code: listed(shop_id, code, name, variant, Decimal(price)) for code, name, variant, price in DEMO}


def listed(shop_id: str, code: str, name: str, variant: str, price: Decimal) -> Sku:
    return Sku(
        sku_id=_id("1730", shop_id, code, name, variant),
        product_id=_id("1729", shop_id, name),
        seller_sku=code,
        product_name=name,
        sku_name=variant,
        price=price,
    )


def _id(prefix: str, *parts: str) -> str:
    text = "\0".join(parts).encode()
    return f"{prefix}{zlib.crc32(text):010d}{zlib.adler32(text) % 100_000:05d}"
