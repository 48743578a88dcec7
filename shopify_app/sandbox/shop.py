"""One shop of the sandbox: its state, its search index, its stock, and what its merchant can do by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shopify_app.sandbox import drafts, orders, payloads
from shopify_app.sandbox.model import (
    Draft,
    Fulfillment,
    Order,
    Product,
    ShopRecord,
    Variant,
    number_of,
)
from shopify_app.sandbox.problems import UserErrors
from shopify_app.sandbox.search import Index
from shopify_app.sandbox.settings import draw

if TYPE_CHECKING:
    from shopify_app.sandbox.platform import Platform

ORDERS_REACH = timedelta(days=60)


class ShopState:
    """`drafts` and `orders` map gids to what lives now; `ledger` lists effects; `mails` what buyers were sent.

    Every merchant action takes the platform's lock, acts as a person in the admin would, and sends the webhooks.
    """

    def __init__(self, platform: Platform, record: ShopRecord) -> None:
        self.platform = platform
        self.record = record
        self.ledger: list[dict[str, Any]] = []
        self.mails: list[dict[str, Any]] = []
        self.bucket = Bucket(platform)
        self.answers_with: int | None = None  # 402 frozen, 403 forbidden, 423 locked
        self.fulfillments = {f.id: f for order in record.orders.values() for f in order.fulfillments}
        self._next_expiry: datetime | None = None
        self.indexes = {
            root: Index(platform.clock, lambda: draw(platform.random, platform.settings.search_lag))
            for root in ("draftOrders", "orders", "productVariants", "products")
        }

    @property
    def domain(self) -> str:
        return self.record.domain

    @property
    def handle(self) -> str:
        return self.domain.split(".")[0]

    @property
    def drafts(self) -> dict[str, Draft]:
        return self.record.drafts

    @property
    def orders(self) -> dict[str, Order]:
        return self.record.orders

    @property
    def variants(self) -> dict[str, Variant]:
        return self.record.variants

    @property
    def products(self) -> dict[str, Product]:
        return self.record.products

    @property
    def installed(self) -> bool:
        return self.record.installed_at is not None and self.record.uninstalled_at is None

    def variant(self, sku: str) -> Variant:
        """The first variant with exactly this SKU; KeyError without one."""
        for variant in self.variants.values():
            if variant.sku == sku:
                return variant
        raise KeyError(sku)

    def fulfillment(self, gid: str) -> Fulfillment | None:
        return self.fulfillments.get(gid)

    def visible_order(self, gid: str) -> Order | None:
        """Orders older than 60 days need read_all_orders (Shopify contract 2.5)."""
        order = self.orders.get(gid)
        if order and not self.has_scope("read_all_orders"):
            return order if order.created_at > self.platform.clock.now() - ORDERS_REACH else None
        return order

    def has_scope(self, scope: str) -> bool:
        """A write scope includes its read scope."""
        granted = self.record.scopes
        return scope in granted or scope.replace("read_", "write_", 1) in granted

    # The merchant, and whoever else works in the admin

    def add_product(
        self,
        title: str,
        variants: Iterable[tuple[str, str, str]],
        *,
        stock: int = 1000,
        status: str = "ACTIVE",
    ) -> Product:
        """`variants` are (title, SKU, price); several may share a SKU, as Shopify allows."""
        with self.platform.lock:
            now = self.platform.clock.stamp()
            product = Product(
                id=self.platform.ids.next("Product"),
                title=title,
                handle=title.lower().replace(" ", "-"),
                created_at=now,
                updated_at=now,
                status=status,
            )
            self.products[product.id] = product
            for name, sku, price in variants:
                self._add_variant(product, name, sku, Decimal(price), stock, now)
            self.index_product(product)
            self.announce("products/create", product)
            return product

    def edit_variant(self, gid: str, *, sku: str | None = None, price: str | None = None) -> Variant:
        with self.platform.lock:
            variant = self.variants[gid]
            variant.sku = variant.sku if sku is None else sku
            variant.price = variant.price if price is None else Decimal(price)
            product = self.products[variant.product_id]
            variant.updated_at = product.updated_at = self.platform.clock.stamp()
            self.index_product(product)
            self.announce("products/update", product)
            return variant

    def delete_product(self, gid: str) -> None:
        with self.platform.lock:
            product = self.products.pop(gid)
            for variant_id in product.variant_ids:
                self.variants.pop(variant_id)
                self.indexes["productVariants"].put(variant_id, None)
            self.indexes["products"].put(gid, None)
            self.announce("products/delete", product)

    def edit_draft(self, gid: str, **given: Any) -> Draft:
        """`given` are members of DraftOrderInput: note, tags, lineItems, customAttributes …"""
        with self.platform.lock:
            return drafts.update(self, self.drafts[gid], given, by="merchant")

    def complete_draft(self, gid: str) -> Order:
        """Mark the draft as paid by hand. Raises UserErrors."""
        with self.platform.lock:
            self.drafts[gid].ready_at = self.platform.clock.now()
            return drafts.complete(self, self.drafts[gid], by="merchant")

    def delete_draft(self, gid: str) -> None:
        with self.platform.lock:
            drafts.delete(self, self.drafts[gid], by="merchant")

    def create_draft(self, **given: Any) -> Draft:
        """A draft of somebody else's, with members of DraftOrderInput."""
        with self.platform.lock:
            return drafts.create(self, given, by="merchant")

    def cancel_order(
        self, gid: str, *, reason: str = "CUSTOMER", restock: bool = True, refund: bool = True
    ) -> None:
        """Raises UserErrors where the admin would refuse."""
        with self.platform.lock:
            order = self.orders[gid]
            orders.check_cancellable(self, order)
            orders.cancel(
                self, order, reason=reason, restock=restock, refund=refund, note=None, by="merchant"
            )

    def delete_order(self, gid: str) -> None:
        with self.platform.lock:
            orders.delete(self, self.orders[gid])

    def refund_order(self, gid: str, lines: dict[str, int] | None = None, amount: str | None = None) -> None:
        """Without lines everything that is left is refunded, shipping included."""
        with self.platform.lock:
            orders.refund_by_hand(self, self.orders[gid], lines, Decimal(amount) if amount else None)

    def edit_order_lines(
        self,
        gid: str,
        quantities: dict[str, int] | None = None,
        add: Iterable[tuple[str, int]] = (),
    ) -> Order:
        """Set the current quantity of lines (by gid or SKU) and add (SKU, quantity) lines."""
        with self.platform.lock:
            return orders.edit_lines(self, self.orders[gid], quantities or {}, add)

    def add_tags(self, gid: str, *tags: str) -> None:
        with self.platform.lock:
            orders.change_tags(self, self.tagged(gid), add=tags, by="merchant")

    def remove_tags(self, gid: str, *tags: str) -> None:
        with self.platform.lock:
            orders.change_tags(self, self.tagged(gid), remove=tags, by="merchant")

    def fulfill(
        self,
        gid: str,
        lines: dict[str, int] | None = None,
        company: str | None = "UPS",
        numbers: Iterable[str] = (),
        urls: Iterable[str] = (),
    ) -> Fulfillment:
        """Ship units of lines (by gid or SKU), or all that is left. Raises UserErrors when there is nothing."""
        with self.platform.lock:
            return orders.fulfill(self, self.orders[gid], lines, company, list(numbers), list(urls))

    def update_tracking(
        self, gid: str, company: str | None = None, numbers: Iterable[str] | None = None
    ) -> Fulfillment:
        with self.platform.lock:
            return orders.update_tracking(self, self._known_fulfillment(gid), company, numbers)

    def report_shipment(self, gid: str, shipment_status: str) -> Fulfillment:
        """The carrier's progress, e.g. `in_transit`; comes to the app as fulfillments/update."""
        with self.platform.lock:
            return orders.report_shipment(self, self._known_fulfillment(gid), shipment_status)

    def show_fulfillment(self, gid: str, status: str) -> None:
        """A fulfillment service was asked, or answered: the order shows it, and nothing has left."""
        with self.platform.lock:
            orders.show_fulfillment(self, self.orders[gid], status)

    def cancel_fulfillment(self, gid: str) -> Fulfillment:
        with self.platform.lock:
            return orders.cancel_fulfillment(self, self._known_fulfillment(gid))

    def grant_scopes(self, scopes: Iterable[str]) -> None:
        """The merchant grants another set of scopes; app/scopes_update follows."""
        with self.platform.lock:
            previous, self.record.scopes = self.record.scopes, list(scopes)
            self.announce("app/scopes_update", (previous, self.record.scopes))

    def uninstall(self) -> None:
        """Tokens die at once; shop/redact follows 48 h later unless the app is back by then."""
        with self.platform.lock:
            self.announce("app/uninstalled", self.record)
            self.record.uninstalled_at = self.platform.clock.now()
            self.record.redacted_at = None
            self.record.grants.clear()
            self.record.subscriptions.clear()
            self.record.scopes = []
            self.note("app_uninstalled")
        self._plan_redaction()

    def redact(self) -> None:
        self.record.redacted_at = self.platform.clock.now()
        self.announce("shop/redact", self.record)

    def request_customer_data(self, order_ids: Iterable[str] = ()) -> None:
        self.announce("customers/data_request", list(order_ids))

    def redact_customer(self, order_ids: Iterable[str] = ()) -> None:
        self.announce("customers/redact", list(order_ids))

    # What the operations share

    def tagged(self, gid: str) -> Draft | Order:
        """A draft or order; KeyError when there is none."""
        found = self.drafts.get(gid) or self.orders.get(gid)
        if found is None:
            raise KeyError(gid)
        return found

    def rate(self, currency: str) -> Decimal:
        """Units of shop money for one unit of presentment money; invented but steady."""
        return Decimal(1) if currency == self.record.currency else Decimal("1.25")

    def note(self, what: str, *, by: str = "app", **facts: Any) -> None:
        entry = {
            "what": what,
            "shop": self.domain,
            "by": by,
            "at": self.platform.clock.now().isoformat(),
            **facts,
        }
        self.ledger.append(entry)
        self.platform.ledger.append(entry)
        self.platform.answering.entries.append(entry)

    def mail(self, what: str, **facts: Any) -> None:
        """A buyer gets a mail: our promise is that this never happens."""
        entry = {"what": what, "shop": self.domain, "at": self.platform.clock.now().isoformat(), **facts}
        self.mails.append(entry)
        self.platform.mails.append(entry)

    def violation(self, words: str, operation: str = "") -> None:
        self.platform.violation(words, operation=operation, shop=self.domain)

    def announce(self, topic: str, subject: Any) -> None:
        """Send a webhook about the subject as it is now."""
        self.platform.webhooks.publish(self, topic, subject, lambda: payloads.render(self, topic, subject))

    def touch(self, thing: Draft | Order, *topics: str) -> None:
        """The object changed: new updated_at, search learns of it later, webhooks go out."""
        thing.updated_at = max(self.platform.clock.stamp(), thing.updated_at)
        self.index(thing)
        for topic in topics:
            self.announce(topic, thing)

    def index(self, thing: Draft | Order) -> None:
        root = "draftOrders" if isinstance(thing, Draft) else "orders"
        self.indexes[root].put(thing.id, _snapshot(thing))

    def unindex(self, thing: Draft | Order) -> None:
        root = "draftOrders" if isinstance(thing, Draft) else "orders"
        self.indexes[root].put(thing.id, None)

    def index_product(self, product: Product) -> None:
        variants = [self.variants[gid] for gid in product.variant_ids]
        self.indexes["products"].put(product.id, _product_snapshot(product, variants))
        for variant in variants:
            self.indexes["productVariants"].put(variant.id, _variant_snapshot(product, variant))

    def resume(self) -> None:
        """After loading a saved state: search starts afresh, and what was to come is planned again."""
        for draft in self.drafts.values():
            if draft.reserved:
                self._expect_expiry(draft)
        for job in self.record.jobs.values():
            if not job.done:
                orders.plan_cancellation(self, job)
        self._plan_redaction()
        for product in self.products.values():
            self.index_product(product)
        for draft in self.drafts.values():
            self.index(draft)
        for order in self.orders.values():
            self.index(order)

    # Stock: available, reserved by drafts, committed to orders

    def reserve(self, draft: Draft) -> None:
        self.release(draft)
        for line in draft.lines:
            if line.variant_id in self.variants:
                draft.reserved[line.variant_id] = draft.reserved.get(line.variant_id, 0) + line.quantity
        for gid, quantity in draft.reserved.items():
            self._move_stock(gid, available=-quantity, reserved=quantity)
        self._expect_expiry(draft)

    def release(self, draft: Draft) -> None:
        for gid, quantity in draft.reserved.items():
            self._move_stock(gid, available=quantity, reserved=-quantity)
        draft.reserved = {}

    def expire_reservations(self) -> None:
        """After its time reserved stock comes back by itself."""
        now = self.platform.clock.now()
        if self._next_expiry is None or self._next_expiry > now:
            return
        self._next_expiry = None
        for draft in self.drafts.values():
            until = draft.reserve_inventory_until
            if draft.reserved and until and until <= now:
                self.release(draft)
            elif draft.reserved:
                self._expect_expiry(draft)

    def _expect_expiry(self, draft: Draft) -> None:
        until = draft.reserve_inventory_until
        if until and (self._next_expiry is None or until < self._next_expiry):
            self._next_expiry = until

    def commit(self, variant_id: str | None, quantity: int) -> None:
        self._move_stock(variant_id, available=-quantity, committed=quantity)

    def restock(self, variant_id: str | None, quantity: int) -> None:
        self._move_stock(variant_id, available=quantity, committed=-quantity)

    def uncommit(self, variant_id: str | None, quantity: int) -> None:
        """Units leave the building, or come back into it with a negative quantity."""
        self._move_stock(variant_id, committed=-quantity, on_hand=-quantity)

    def _move_stock(
        self, gid: str | None, available: int = 0, reserved: int = 0, committed: int = 0, on_hand: int = 0
    ) -> None:
        variant = self.variants.get(gid or "")
        if variant is None or not variant.tracked:
            return
        variant.available += available
        variant.reserved += reserved
        variant.committed += committed
        variant.on_hand += on_hand
        if available:
            self.announce("inventory_levels/update", variant)

    def _add_variant(
        self, product: Product, title: str, sku: str, price: Decimal, stock: int, now: datetime
    ) -> None:
        variant = Variant(
            id=self.platform.ids.next("ProductVariant"),
            product_id=product.id,
            inventory_item_id=self.platform.ids.next("InventoryItem"),
            title=title,
            sku=sku,
            price=price,
            created_at=now,
            updated_at=now,
            available=stock,
            on_hand=stock,
        )
        self.variants[variant.id] = variant
        product.variant_ids.append(variant.id)

    def _known_fulfillment(self, gid: str) -> Fulfillment:
        fulfillment = self.fulfillment(gid)
        if fulfillment is None:
            raise UserErrors("Fulfillment does not exist", ["id"])
        return fulfillment

    def _plan_redaction(self) -> None:
        uninstalled = self.record.uninstalled_at
        if uninstalled and not self.record.redacted_at:
            due = uninstalled + timedelta(seconds=self.platform.settings.redact_after)
            self.platform.agenda.at(due, lambda: self._redact_unless_back(uninstalled))

    def _redact_unless_back(self, uninstalled: datetime) -> None:
        with self.platform.lock:
            if self.record.uninstalled_at == uninstalled and not self.record.redacted_at:
                self.redact()


class Bucket:
    """The leaky bucket of one shop. Sizes are in points, restored by the second."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._level = platform.settings.bucket
        self._at = platform.clock.now()

    def take(self, points: int) -> bool:
        if points > self.level():
            return False
        self._level -= points
        return True

    def give_back(self, points: int) -> None:
        self._level = min(self._platform.settings.bucket, self._level + points)

    def drain(self) -> None:
        self.level()
        self._level = 0.0

    def level(self) -> float:
        settings, now = self._platform.settings, self._platform.clock.now()
        passed = max(0.0, (now - self._at).total_seconds())
        self._at = now
        self._level = min(settings.bucket, self._level + passed * settings.restore)
        return self._level

    def status(self) -> dict[str, float]:
        settings = self._platform.settings
        return {
            "maximumAvailable": float(settings.bucket),
            "currentlyAvailable": int(self.level()),
            "restoreRate": float(settings.restore),
        }


def _snapshot(thing: Draft | Order) -> dict[str, Any]:
    common: dict[str, Any] = {
        "id": str(number_of(thing.id)),
        "name": thing.name,
        "created_at": thing.created_at,
        "updated_at": thing.updated_at,
        "tag": tuple(thing.tags),
        "note": thing.note,
        "sku": tuple(line.sku for line in thing.lines),
    }
    if isinstance(thing, Draft):
        return common | {"status": thing.status, "customer_id": thing.customer_id}
    common |= {f"metafields.{m.namespace}.{m.key}": m.value for m in thing.metafields}
    return common | {
        "processed_at": thing.processed_at,
        "cancelled_at": thing.cancelled_at,
        "status": "cancelled" if thing.cancelled_at else ("closed" if thing.closed_at else "open"),
        "financial_status": thing.financial_status,
        "fulfillment_status": {
            "UNFULFILLED": "unfulfilled",
            "PARTIALLY_FULFILLED": "partial",
            "FULFILLED": "fulfilled",
            "ON_HOLD": "on_hold",
        }.get(thing.display_fulfillment_status, "unfulfilled"),
        "gateway": tuple(thing.payment_gateway_names),
        "po_number": thing.po_number,
        "source_name": thing.source_name,
        "source_identifier": thing.source_identifier,
    }


def _product_snapshot(product: Product, variants: list[Variant]) -> dict[str, Any]:
    return {
        "id": str(number_of(product.id)),
        "title": product.title,
        "handle": product.handle,
        "status": product.status,
        "vendor": product.vendor,
        "tag": tuple(product.tags),
        "sku": tuple(v.sku for v in variants),
        "created_at": product.created_at,
        "updated_at": product.updated_at,
    }


def _variant_snapshot(product: Product, variant: Variant) -> dict[str, Any]:
    return {
        "id": str(number_of(variant.id)),
        "sku": variant.sku,
        "title": (variant.title, product.title),
        "product_id": str(number_of(product.id)),
        "product_status": product.status,
        "vendor": product.vendor,
        "tag": tuple(product.tags),
        "updated_at": variant.updated_at,
    }
