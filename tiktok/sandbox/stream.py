"""A stream of demo orders: one of each kind at once, then a plain one at intervals."""

import random
import threading
from typing import TYPE_CHECKING, Any

from tiktok.sandbox.catalogue import DEMO

if TYPE_CHECKING:
    from tiktok.sandbox.platform import TikTokSandbox

Json = dict[str, Any]
SHORT_HOLD = 20.0
CANCEL_AFTER = 6.0

# kind -> what place_order gets; seller_note tells a person (and the Shopify side of a demo) what it is for
KINDS: dict[str, Json] = {
    "plain": {"lines": [("TEE-BLK-M", 1)]},
    "discount": {
        "lines": [("SOCK-CHR-L", 1, "24.99", "3.00", "2.00"), ("MUG-WHT", 2, "9.00", "0", "1.50")],
        "shipping_platform_discount": "2.00",
    },
    "cancelled": {"lines": [("CAP-NVY", 1)]},
    "tiktok_ships": {"lines": [("BOTTLE-STL", 1)], "shipping_type": "TIKTOK"},
    "tiktok_only_sku": {"lines": [("TT-ONLY-7", 1)]},
    "wrong_carrier": {"lines": [("POSTER-A2", 1)]},
    "two_parcels": {"lines": [("CANDLE-FIG", 3)]},
}
NOTES = {
    "plain": "demo: plain",
    "discount": "demo: two lines, part paid by TikTok",
    "cancelled": "demo: cancelled in the hold",
    "tiktok_ships": "demo: TikTok ships it",
    "tiktok_only_sku": "demo: SKU unknown to Shopify",
    "wrong_carrier": "demo: fulfil with a carrier TikTok does not know",
    "two_parcels": "demo: fulfil in two parcels",
}


class Stream(threading.Thread):
    """Places orders until stopped. `mix` names the kinds placed at the start, in this order."""

    def __init__(
        self, sandbox: "TikTokSandbox", shop_id: str, every: float, mix: list[str], hold_seconds: float
    ) -> None:
        super().__init__(daemon=True)
        self._sandbox = sandbox
        self._shop_id = shop_id
        self._every = every
        self._mix = mix
        self._hold = hold_seconds
        self._over = threading.Event()
        self._rng = random.Random(sandbox.world.seed)

    def run(self) -> None:
        for kind in self._mix:
            place(self._sandbox, kind, shop_id=self._shop_id, hold_seconds=self._hold)
            self._over.wait(1.0 / max(len(self._mix), 1))
        while not self._over.wait(self._every):
            sku = self._rng.choice(DEMO[:-1])[0]
            lines = [(sku, self._rng.choice((1, 1, 1, 2)))]
            self._sandbox.place_order(
                shop_id=self._shop_id, lines=lines, seller_note=NOTES["plain"], hold_seconds=self._hold
            )

    def end(self) -> None:
        self._over.set()
        self.join(2)


def place(sandbox: "TikTokSandbox", kind: str, *, shop_id: str = "", hold_seconds: float = SHORT_HOLD) -> str:
    """One order of a kind of KINDS; the order's id."""
    order_id = sandbox.place_order(
        shop_id=shop_id, seller_note=NOTES[kind], hold_seconds=hold_seconds, **KINDS[kind]
    )
    if kind == "cancelled":
        wait = min(CANCEL_AFTER, hold_seconds / 2)
        with sandbox.lock:
            sandbox.schedule(wait, "cancel", order_id=order_id)
    return order_id
