"""What buyers, sellers, carriers and TikTok itself do. Each is a method here and POST /_sandbox/<name>."""

import heapq
import secrets
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tiktok.sandbox import buyers, carriers, shipping
from tiktok.sandbox.buyers import Buyer
from tiktok.sandbox.catalogue import Sku, listed
from tiktok.sandbox.orders import (
    AWAITING_COLLECTION,
    AWAITING_SHIPMENT,
    BEFORE_RELEASE,
    CANCELLED,
    COMPLETED,
    DELIVERED,
    IN_TRANSIT,
    ON_HOLD,
    UNPAID,
    ZERO,
    Charges,
    Line,
    Order,
    Parcelled,
)
from tiktok.sandbox.shipping import Refused, Wanted
from tiktok.sandbox.state import (
    SCOPES,
    Answering,
    App,
    Cancellation,
    Clock,
    Code,
    Grant,
    Json,
    Package,
    Seller,
    Settings,
    Shop,
    World,
)
from tiktok.sandbox.webhooks import Webhooks

CENT = Decimal("0.01")
BUYER_REASON = ("ecom_order_to_ship_canceled_reason_no_longer_needed", "No longer needed")
SELLER_REASON = ("seller_cancel_reason_out_of_stock", "Out of stock")
SYSTEM_REASON = ("system_cancel_reason_shipping_overdue", "Package not shipped in time")
REASONS = {"BUYER": BUYER_REASON, "SELLER": SELLER_REASON, "SYSTEM": SYSTEM_REASON}
AMOUNTS = ("original_price", "price", "seller_discount", "platform_discount", "tax", "gift_value")


class Actions:
    """The platform's moves. Every public method takes the lock, changes the world, and rings the bells."""

    world: World
    settings: Settings
    clock: Clock
    webhooks: Webhooks
    answering: Answering
    apps: dict[str, App]
    lock: threading.RLock

    # Access

    def consent(
        self, seller: Seller | str = "", *, state: str | None = None, app: str = "", deny: bool = False
    ) -> str:
        """The seller presses Approve (or Refuse): the redirect back to the app. An install that starts in TikTok's
        own App Store has no state."""
        with self.lock:
            owner = self._seller(seller, app)
            query: dict[str, str] = {"code": "null", "error": "auth_denied"}
            if not deny:
                code = f"{'TTP' if owner.app == 'US' else 'ROW'}_{secrets.token_urlsafe(24)}"
                expires = self.clock.time() + self.settings.code_seconds
                self.world.codes[code] = Code(owner.app, owner.open_id, expires)
                query = {"code": code}
            if state is not None:
                query["state"] = state
            url = self.apps[owner.app].redirect_url
            return f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(query)}"

    def grant(self, seller: Seller | str = "", *, app: str = "") -> Json:
        """Consent and token exchange in one step: the token data, and the shops with their ciphers."""
        with self.lock:
            owner = self._seller(seller, app)
            grant = self.new_grant(owner)
            return self.token_data(grant, grant.newest) | {"shops": self.shops_json(grant)}

    def deauthorize(self, seller: Seller | str = "") -> None:
        """The seller removes the app: webhook 6 tells, its tokens are dead."""
        with self.lock:
            owner = self._seller(seller)
            for shop in owner.shops:
                data = {"message": "The seller removed the authorization"}
                self.ring(shop.id, "SELLER_DEAUTHORIZATION", data)
            self._grant(owner).revoked = True

    def expire_tokens(self, seller: Seller | str = "", *, refresh: bool = False) -> None:
        """Access tokens end now; with `refresh` the whole grant does."""
        with self.lock:
            grant = self._grant(self._seller(seller))
            now = self.clock.seconds()
            grant.access = dict.fromkeys(grant.access, now - 1)
            if refresh:
                grant.refresh_expires = now - 1

    def take_scope(self, scope: str, seller: Seller | str = "") -> None:
        """The grant no longer holds a scope (a name of SCOPES or its word)."""
        with self.lock:
            grant = self._grant(self._seller(seller))
            grant.scopes = [held for held in grant.scopes if held != SCOPES.get(scope, scope)]

    def authorization_expiring(self, seller: Seller | str = "", *, in_days: int = 29) -> None:
        """The daily reminder of the last 30 days."""
        with self.lock:
            owner = self._seller(seller)
            grant = self._grant(owner)
            grant.refresh_expires = self.clock.seconds() + in_days * 86_400
            message = "The authorization will expire soon"
            data = {"message": message, "expiration_time": str(grant.refresh_expires)}
            for shop in owner.shops:
                self.ring(shop.id, "UPCOMING_AUTHORIZATION_EXPIRATION", data)

    def new_grant(self, seller: Seller) -> Grant:
        """A consent's tokens and ciphers. Earlier ciphers are void; earlier tokens live on as after a refresh."""
        former = self.world.grants.get((seller.app, seller.open_id))
        grant = Grant(
            app=seller.app,
            open_id=seller.open_id,
            scopes=list(SCOPES.values()),
            ciphers={f"{seller.app}_{secrets.token_urlsafe(18)}": shop.id for shop in seller.shops},
        )
        if former and not former.revoked:
            grant.access = dict(former.access)
            grant.former_refresh = former.refresh
        self.world.grants[seller.app, seller.open_id] = grant
        self.issue(grant)
        return grant

    def issue(self, grant: Grant) -> str:
        """A new pair of tokens; the access token is returned."""
        now = self.clock.seconds()
        token = f"{grant.app}_{secrets.token_urlsafe(32)}"
        grant.access = {held: end for held, end in grant.access.items() if end > now}
        grant.access[token] = now + self.settings.access_token_seconds
        grant.refresh = f"{grant.app}_{secrets.token_urlsafe(32)}"
        grant.refresh_expires = grant.refresh_expires or now + self.settings.refresh_token_seconds
        return token

    def token_data(self, grant: Grant, token: str) -> Json:
        seller = self._seller_by_open_id(grant.open_id)
        return {
            "access_token": token,
            "access_token_expire_in": grant.access[token],
            "refresh_token": grant.refresh,
            "refresh_token_expire_in": grant.refresh_expires,
            "open_id": grant.open_id,
            "seller_name": seller.name,
            "seller_base_region": seller.region,
            "user_type": 0,
            "granted_scopes": grant.scopes,
        }

    def shops_json(self, grant: Grant) -> list[Json]:
        shops = ((cipher, self.world.shop(shop_id)) for cipher, shop_id in grant.ciphers.items())
        return [
            {
                "id": shop.id,
                "name": shop.name,
                "region": shop.region,
                "seller_type": shop.seller_type,
                "cipher": cipher,
                "code": shop.code,
            }
            for cipher, shop in shops
        ]

    # Orders come

    def place_order(
        self,
        *,
        shop_id: str = "",
        lines: Iterable[Sequence[Any] | Json] = (("TEE-BLK-M", 1),),
        shipping_fee: Any = "5.99",
        shipping_seller_discount: Any = 0,
        shipping_platform_discount: Any = 0,
        shipping_cofunded_discount: Any = 0,
        shipping_tax: Any = 0,
        retail_delivery_fee: Any = 0,
        tax: Any = None,
        fees: Json | None = None,
        payment: Json | None = None,
        currency: str = "",
        buyer: Json | None = None,
        same_buyer_as: str = "",
        buyer_message: str = "",
        seller_note: str = "",
        paid: bool = True,
        hold: bool = True,
        hold_seconds: float | None = None,
        order_type: str = "NORMAL",
        release_in: float = 0,
        handling_days: int = 0,
        sample: bool = False,
        subscription: bool = False,
        replacement_of: str = "",
        exchange_of: str = "",
        combine_group: str = "",
        fulfilled_by_tiktok: bool = False,
        shipping_type: str = "SELLER",
        age: float = 0,
    ) -> str:
        """A buyer orders; the order's id.

        `lines`: (seller SKU, units, list price, seller discount, platform discount), amounts per unit, the last
        three optional; or a dict with `sku`, `quantity`, `price`, `seller_discount`, `platform_discount`,
        `is_gift`, `gift_value`, `tax`, `bundle=[(SKU, count), …]`, `seller_sku` (what the order shows instead).
        `shipping_fee` is before its discounts.
        `tax` is the product tax of the whole order (default: the buyer's rate in the US, nothing elsewhere).
        What is free (a sample, a replacement) has a price of 0, or a discount that makes it so.
        `fees` are documented amounts beyond the sum of total_amount; `payment` replaces shown amounts (a lie).
        `paid=False` waits for pay(); `hold=False` never holds; `release_in` seconds make a PRE_ORDER; it was
        placed `age` seconds ago.
        """
        with self.lock:
            shop = self.world.shop(shop_id) if shop_id else self.world.sellers[0].shops[0]
            now = int(self.clock.time() - age)
            free = sample or bool(replacement_of) or bool(exchange_of)
            person = self._buyer(shop, buyer, same_buyer_as)
            order = Order(
                id=self.world.new_id("5771"),
                shop_id=shop.id,
                region=shop.region,
                currency=currency or shop.currency,
                buyer=person,
                lines=self._lines(shop, lines, free=free),
                charges=Charges(
                    shipping=ZERO if free and not shipping_platform_discount else money(shipping_fee),
                    shipping_seller_discount=money(shipping_seller_discount),
                    shipping_platform_discount=money(shipping_platform_discount),
                    shipping_cofunded_discount=money(shipping_cofunded_discount),
                    shipping_tax=money(shipping_tax),
                    retail_delivery_fee=money(retail_delivery_fee),
                    others={name: money(value) for name, value in (fees or {}).items()},
                    lies=dict(payment or {}),
                ),
                create_time=now,
                update_time=now,
                hold=hold,
                hold_seconds=self.settings.hold_seconds if hold_seconds is None else hold_seconds,
                order_type="PRE_ORDER" if release_in else order_type,
                release_date=int(now + release_in) if release_in else 0,
                handling_days=handling_days,
                fulfillment_type="FULFILLMENT_BY_TIKTOK" if fulfilled_by_tiktok else "FULFILLMENT_BY_SELLER",
                shipping_type="TIKTOK" if fulfilled_by_tiktok else shipping_type,
                delivery_option_id=shop.delivery_option_id,
                warehouse_id=shop.warehouse_id,
                buyer_message=buyer_message,
                seller_note=seller_note,
                sample=sample,
                subscription=subscription,
                replacement_of=replacement_of,
                exchange_of=exchange_of,
                combine_group=combine_group,
            )
            if order.shipping_type == "TIKTOK":
                order.delivery_option_id = shop.tiktok_delivery_option_id
            self._tax(order, tax)
            self.world.orders[order.id] = order
            if paid:
                self._pay(order, now)
            else:
                self._status_bell(order)
            return order.id

    def pay(self, order_id: str) -> None:
        """The buyer pays: the hold begins, or the order is at once ready to ship."""
        with self.lock:
            self._pay(self.world.orders[order_id], self.clock.seconds())

    def release(self, order_id: str) -> None:
        """The hold is over now."""
        with self.lock:
            order = self.world.orders[order_id]
            if order.status == ON_HOLD:
                order.set_status(AWAITING_SHIPMENT)
                self._moved(order)

    # Cancelling

    def cancel(self, order_id: str, by: str = "BUYER", reason: str = "") -> str:
        """The whole order is cancelled, without anybody's approval; the cancellation's id."""
        with self.lock:
            order = self.world.orders[order_id]
            record = self._cancellation(order, order.live_lines, by, reason, "CANCEL", "COMPLETE")
            self._cancel(order, order.live_lines, record)
            return record.id

    def cancel_lines(self, order_id: str, lines: int | list[str] = 1, by: str = "SELLER") -> str:
        """The last `lines` live units (or the named ones) are cancelled for lack of stock."""
        with self.lock:
            order = self.world.orders[order_id]
            live = order.live_lines
            gone = live[-lines:] if isinstance(lines, int) else [line for line in live if line.id in lines]
            record = self._cancellation(order, gone, by, "", "CANCEL", "COMPLETE")
            self._cancel(order, gone, record)
            return record.id

    def buyer_requests_cancel(self, order_id: str, answer_seconds: float | None = None) -> str:
        """The buyer asks: granted at once in the hold, afterwards the seller decides (silence grants)."""
        with self.lock:
            order = self.world.orders[order_id]
            if order.status in BEFORE_RELEASE:
                return self.cancel(order_id)
            if order.status not in (AWAITING_SHIPMENT, "PARTIALLY_SHIPPING"):
                raise Refused(25001001, "The order can no longer be cancelled by the buyer")
            record = self._cancellation(order, order.live_lines, "BUYER", "", "BUYER_CANCEL", "PENDING")
            wait = self.settings.cancel_answer_seconds if answer_seconds is None else answer_seconds
            record.deadline = int(self.clock.time() + wait)
            order.cancel_requested = True
            order.request_cancel_time = self.clock.seconds()
            self.schedule(
                wait, "decide_cancel", order_id=order_id, approve=True, by="SYSTEM", cancel_id=record.id
            )
            self._cancellation_bell(record)
            return record.id

    def decide_cancel(
        self, order_id: str, approve: bool = True, by: str = "SELLER", cancel_id: str = ""
    ) -> None:
        """The pending request is granted or refused; `by="BUYER"` with `approve=False` withdraws it."""
        with self.lock:
            order = self.world.orders[order_id]
            record = self._pending(order_id)
            if record is None or (cancel_id and record.id != cancel_id):
                return
            if approve:
                for status in ("SUCCESS", "COMPLETE"):
                    self._close_request(order, record, status)
                self._cancel(
                    order, [line for line in order.live_lines if not line.shipped], record, ring=False
                )
            else:
                self._close_request(order, record, "CANCEL")

    # Changing

    def change_address(self, order_id: str, **values: str) -> None:
        """A new recipient or place: any field of Buyer; without values a whole new street."""
        with self.lock:
            order = self.world.orders[order_id]
            fresh = buyers.invent(self.world.rng, order.region)
            self.world.former_buyers.append(order.buyer)
            order.buyer = order.buyer.changed(**(values or {"address_line1": fresh.address_line1}))
            order.address_changed = order.address_changed or self.settings.mark_new_addresses
            order.address_time = max(self.clock.seconds(), order.address_time + 1)
            if self.settings.address_moves_update_time:
                order.update_time = max(self.clock.seconds(), order.update_time + 1)
            self.ring(
                order.shop_id,
                "RECIPIENT_ADDRESS_UPDATE",
                {"order_id": order.id, "update_time": order.address_time},
            )

    def change_lines(self, order_id: str, lines: Iterable[Sequence[Any] | Json]) -> None:
        """Other units and amounts than before (same form as place_order)."""
        with self.lock:
            order = self.world.orders[order_id]
            status = order.status
            order.lines = self._lines(self.world.shop(order.shop_id), lines, free=False)
            self._tax(order, None)
            order.set_status(status)
            self._moved(order)

    def change_quantity(self, order_id: str, sku: str, quantity: int) -> None:
        """That many units of one SKU, at the price and discounts its first unit had."""
        with self.lock:
            order = self.world.orders[order_id]
            status = order.status
            units = [line for line in order.lines if line.sku.seller_sku == sku]
            kept = [line for line in order.lines if line.sku.seller_sku != sku] + units[:quantity]
            model = units[0]
            row = {
                "sku": sku,
                "quantity": quantity - len(units[:quantity]),
                "price": model.original_price,
                "seller_discount": model.seller_discount,
                "platform_discount": model.platform_discount,
            }
            order.lines = kept + self._lines(self.world.shop(order.shop_id), [row], free=False)
            self._tax(order, None)
            order.set_status(status)
            self._moved(order)

    def switch_to_tiktok_shipping(self, order_id: str) -> None:
        """TikTok ships it after all."""
        with self.lock:
            order = self.world.orders[order_id]
            order.shipping_type = "TIKTOK"
            order.delivery_option_id = self.world.shop(order.shop_id).tiktok_delivery_option_id
            self._moved(order)

    def switch_to_seller_shipping(self, order_id: str) -> None:
        with self.lock:
            order = self.world.orders[order_id]
            order.shipping_type = "SELLER"
            order.fulfillment_type = "FULFILLMENT_BY_SELLER"
            order.delivery_option_id = self.world.shop(order.shop_id).delivery_option_id
            self._moved(order)

    def mask(self, order_id: str, on: bool = True) -> None:
        """Hide the recipient in every status."""
        with self.lock:
            order = self.world.orders[order_id]
            order.masked = on

    def withhold_address(self, order_id: str, on: bool = True) -> None:
        """Leave the recipient out of every answer, in every status: each of its fields is optional."""
        with self.lock:
            self.world.orders[order_id].without_address = on

    def combine(self, order_ids: list[str]) -> str:
        """TikTok groups orders to travel together (webhook 4); the group's id."""
        with self.lock:
            group = self.world.new_id("7700")
            for order_id in order_ids:
                order = self.world.orders[order_id]
                order.combine_group = group
                order.split_or_combine_tag = "COMBINED"
            first = self.world.orders[order_ids[0]]
            self._package_bell(first, "COMBINE", group, order_ids, "ROLE_SYSTEM")
            return group

    def open_return(self, order_id: str) -> None:
        """The buyer wants money back for it. Nothing is shipped meanwhile; the order itself shows none of it."""
        with self.lock:
            self._return(self.world.orders[order_id], "PENDING")

    def close_return(self, order_id: str) -> None:
        """The buyer withdraws it."""
        with self.lock:
            self._return(self.world.orders[order_id], "CANCEL")

    # Shipping

    def ship_outside(self, order_id: str, provider: str = "USPS", number: str = "", lines: int = 0) -> str:
        """Somebody ships in Seller Center or another tool; the package's id. `lines` limits the units."""
        with self.lock:
            order = self.world.orders[order_id]
            known = carriers.provider_named(self.world.shop(order.shop_id).market, provider)
            named = [(line.id, "") for line in order.live_lines if not line.shipped][: lines or None]
            wanted = Wanted(named, number or self.new_number(provider), known.id, [])
            return self.ship(order, wanted, "ship_outside")[0].id

    def ship(self, order: Order, wanted: Wanted, what: str = "ship") -> tuple[Package, list[str], str]:
        """Ship as the API does: package, line ids, warning; or Refused. Both go to the ledger."""
        facts: Json = {
            "order_id": order.id,
            "shop_id": order.shop_id,
            "number": wanted.number,
            "provider_id": wanted.provider_id,
        }
        try:
            judged = shipping.judge_ship(self.world, self.settings, order, wanted, self.clock.seconds())
        except Refused as refusal:
            self.record(f"{what}_refused", **facts, code=refusal.code, message=refusal.message)
            raise
        if order.cancel_requested:
            self._reject_by_shipping(order)
        before = order.package_ids
        package = self._package(order, wanted, judged.provider, judged.items)
        line_ids = [item.id for item in judged.items if isinstance(item, Line)]
        self.record(
            what,
            **facts,
            provider=judged.provider.name,
            line_ids=line_ids or [item.id for item in judged.items],
            package_id=package.id,
            warning=judged.warning,
        )
        self._moved(order)
        if before and package.id not in before:
            order.split_or_combine_tag = "SPLIT"
            self._package_bell(order, "SPLIT", package.id, [order.id])
        elif len(package.order_ids) > 1:
            self._combined(package)
        return package, line_ids, judged.warning

    def correct(self, package: Package, number: str, provider_id: str) -> None:
        """The one correction; Refused with TikTok's code."""
        order = self.world.orders[package.order_ids[0]]
        facts: Json = {
            "package_id": package.id,
            "order_id": order.id,
            "number": number,
            "provider_id": provider_id,
            "former_number": package.number,
        }
        try:
            provider = shipping.judge_correction(
                self.world, self.settings, package, order, number, provider_id, self.clock.seconds()
            )
        except Refused as refusal:
            self.record("correction_refused", **facts, code=refusal.code, message=refusal.message)
            raise
        self.world.numbers.setdefault(number, set()).update(package.order_ids)
        package.number, package.provider_id, package.provider_name = number, provider.id, provider.name
        package.corrected = True
        package.update_time = self.clock.seconds()
        for order_id in package.order_ids:
            owner = self.world.orders[order_id]
            for item in (item for line in owner.lines for item in (line, *line.parts)):
                if item.package_id == package.id:
                    item.number, item.provider_id, item.provider_name = number, provider.id, provider.name
        self.record("correction", **facts, provider=provider.name)

    def carrier_scan(self, order_id: str) -> None:
        """TikTok sees the carrier's first scan."""
        with self.lock:
            order = self.world.orders[order_id]
            order.collection_time = self.clock.seconds()
            self._advance(order, AWAITING_COLLECTION, IN_TRANSIT)

    def deliver(self, order_id: str) -> None:
        with self.lock:
            order = self.world.orders[order_id]
            order.delivery_time = self.clock.seconds()
            self._advance(order, IN_TRANSIT, DELIVERED)

    def complete(self, order_id: str) -> None:
        with self.lock:
            order = self.world.orders[order_id]
            order.complete_time = self.clock.seconds()
            self._advance(order, DELIVERED, COMPLETED)

    # For tests

    def order(self, order_id: str) -> Order:
        """The order as the platform holds it, unmasked."""
        with self.lock:
            self.tick()
            return self.world.orders[order_id]

    def personal_values(self) -> set[str]:
        """Every text of every buyer that was ever told and must never be found at rest."""
        with self.lock:
            found: set[str] = set()
            for former in self.world.former_buyers:
                found |= former.personal_values()
            for order in self.world.orders.values():
                found |= order.buyer.personal_values()
                if len(order.buyer_message) > 5:
                    found.add(order.buyer_message)
            return found

    def new_number(self, provider: str) -> str:
        """A fresh number that fits a well-known carrier."""
        return carriers.new_number(provider, self.world.rng)

    # Inside

    def record(self, what: str, **facts: Any) -> None:
        entry: Json = {"what": what, "at": self.clock.now().isoformat(), **facts}
        self.world.ledger.append(entry)
        self.answering.entries.append(entry)

    def schedule(self, seconds: float, action: str, **arguments: Any) -> None:
        self.world.counter += 1
        heapq.heappush(
            self.world.timers, (self.clock.time() + seconds, self.world.counter, action, arguments)
        )

    def tick(self) -> None:
        """Do what is due by the sandbox's clock."""
        with self.lock:
            while self.world.timers and self.world.timers[0][0] <= self.clock.time():
                _, _, action, arguments = heapq.heappop(self.world.timers)
                perform: Callable[..., Any] = getattr(self, action)
                perform(**arguments)

    def ring(self, shop_id: str, topic: str, data: Json) -> None:
        """Tell every app that may know about the shop."""
        seller = self.world.seller_of(shop_id)
        for app in self.apps.values():
            grant = self.world.grants.get((app.name, seller.open_id))
            if grant is None or grant.revoked:
                continue
            hook = self.world.hooks.get((app.name, shop_id, topic))
            self.webhooks.post(app, hook.address if hook else app.hook_url, topic, shop_id, data)

    def _seller(self, seller: Seller | str, app: str = "") -> Seller:
        """By object, open id, seller name, shop id or shop name; else the first of the app's region."""
        if isinstance(seller, Seller):
            return seller
        for known in self.world.sellers:
            names = {known.open_id, known.name}
            names |= {name for shop in known.shops for name in (shop.id, shop.name)}
            if seller in names or (not seller and known.app == (app or "US")):
                return known
        raise KeyError(seller)

    def _seller_by_open_id(self, open_id: str) -> Seller:
        return next(seller for seller in self.world.sellers if seller.open_id == open_id)

    def _grant(self, seller: Seller) -> Grant:
        return self.world.grants[seller.app, seller.open_id]

    def _buyer(self, shop: Shop, values: Json | None, same_as: str) -> Buyer:
        if same_as:
            return self.world.orders[same_as].buyer
        return buyers.invent(self.world.rng, shop.region).changed(**(values or {}))

    def _lines(self, shop: Shop, rows: Iterable[Sequence[Any] | Json], *, free: bool) -> list[Line]:
        made = []
        for row in rows:
            facts = _line_facts(row)
            sku = self._sku(shop, facts)
            for _ in range(int(facts.get("quantity", 1))):
                made.append(self._line(shop, sku, facts, free=free))
        return made

    def _line(self, shop: Shop, sku: Sku, facts: Json, *, free: bool) -> Line:
        gift = bool(facts.get("is_gift"))
        price = money(facts["price"]) if facts.get("price") is not None else sku.price
        unpriced = gift or (free and not facts.get("platform_discount"))
        line = Line(
            id=self.world.new_id("5772"),
            sku=sku,
            original_price=ZERO if unpriced else price,
            seller_discount=money(facts.get("seller_discount", 0)),
            platform_discount=money(facts.get("platform_discount", 0)),
            tax=money(facts.get("tax", 0)),
            is_gift=gift,
            gift_value=money(facts.get("gift_value", price)) if gift else ZERO,
        )
        for code, count in facts.get("bundle", ()):
            part_sku = self._sku(shop, {"sku": code})
            line.recipe.append((part_sku, int(count)))
            line.parts += [Parcelled(self.world.new_id("5773"), part_sku) for _ in range(int(count))]
        return line

    def _sku(self, shop: Shop, facts: Json) -> Sku:
        """The listed SKU, or one listed on the spot."""
        code = str(facts["sku"])
        if code not in shop.skus:
            shop.skus[code] = listed(
                shop.id, code, f"Product {code}", "Default", money(facts.get("price") or 10)
            )
        sku = shop.skus[code]
        shown = str(facts.get("seller_sku", code))
        if shown == code:
            return sku
        return Sku(sku.sku_id, sku.product_id, shown, sku.product_name, sku.sku_name, sku.price)

    def _tax(self, order: Order, total: Any) -> None:
        """Sales tax per unit: the given sum spread over the units, else the buyer's rate in the US."""
        if total is not None:
            _spread(order.lines, money(total))
            return
        if order.region != "US":
            return  # prices contain the tax
        rate = Decimal(order.buyer.tax_rate)
        for line in order.lines:
            line.tax = line.tax or (line.sale_price * rate).quantize(CENT, ROUND_HALF_UP)
            line.tax_rate = order.buyer.tax_rate

    def _pay(self, order: Order, at: int) -> None:
        if order.status != UNPAID:
            return
        order.paid_time = at
        order.set_status(ON_HOLD if order.hold else AWAITING_SHIPMENT)
        order.update_time = max(at, order.update_time)
        if order.hold:
            end = max(at + order.hold_seconds, order.release_date)
            self.schedule(end - self.clock.time(), "release", order_id=order.id)
        self._status_bell(order)

    def _moved(self, order: Order) -> None:
        """update_time is of the last change of status, in whole seconds: two in one second share it, and what changes
        no status does not move it (TikTok contract 4.3)."""
        order.update_time = max(self.clock.seconds(), order.update_time)
        self._status_bell(order)

    def _status_bell(self, order: Order) -> None:
        status = "CANCEL" if order.status == CANCELLED else order.status
        if status == "PARTIALLY_SHIPPING":
            return  # webhook 1 has no such word (TikTok contract 3.4)
        data = {
            "order_id": order.id,
            "order_status": status,
            "is_on_hold_order": order.hold,
            "update_time": order.update_time,
        }
        self.ring(order.shop_id, "ORDER_STATUS_CHANGE", data)

    def _package_bell(
        self, order: Order, kind: str, package_id: str, order_ids: list[str], role: str = "ROLE_SELLER"
    ) -> None:
        data = {
            "sc_type": kind,
            "role_type": role,
            "package_list": [{"package_id": package_id, "order_id_list": order_ids}],
            "update_time": order.update_time,
        }
        self.ring(order.shop_id, "PACKAGE_UPDATE", data)

    def _cancellation_bell(self, record: Cancellation) -> None:
        status = f"CANCELLATION_REQUEST_{record.status}"
        data = {
            "order_id": record.order_id,
            "cancellations_role": record.role,
            # The webhook spells it with -LED, the search without (TikTok contract 3.4).
            "cancel_status": status + "LED" if record.status == "CANCEL" else status,
            "cancel_id": record.id,
            "create_time": record.create_time,
        }
        self.ring(record.shop_id, "CANCELLATION_STATUS_CHANGE", data)

    def _return(self, order: Order, status: str) -> None:
        order.return_open = status == "PENDING"
        data = {
            "order_id": order.id,
            "return_role": "BUYER",
            "return_type": "REFUND",
            "return_status": f"RETURN_OR_REFUND_REQUEST_{status}",
            "return_id": f"4036{order.id[4:]}",
            "create_time": self.clock.seconds(),
            "update_time": self.clock.seconds(),
        }
        self.ring(order.shop_id, "RETURN_STATUS_CHANGE", data)

    def _cancellation(
        self, order: Order, lines: list[Line], role: str, reason: str, kind: str, status: str
    ) -> Cancellation:
        now = self.clock.seconds()
        word, text = REASONS.get(role, SYSTEM_REASON)
        record = Cancellation(
            id=self.world.new_id("4035"),
            order_id=order.id,
            shop_id=order.shop_id,
            type=kind,
            status=status,
            role=role,
            reason=word,
            reason_text=reason or text,
            line_ids=[line.id for line in lines],
            create_time=now,
            update_time=now,
        )
        self.world.cancellations[record.id] = record
        return record

    def _cancel(self, order: Order, lines: list[Line], record: Cancellation, ring: bool = True) -> None:
        pending = self._pending(order.id)
        if pending is not None:
            self._close_request(order, pending, "CANCEL")
        for item in (item for line in lines for item in (line, *line.parts)):
            item.status = CANCELLED
            item.cancel_user = record.role
            item.cancel_reason = record.reason_text
        order.cancel_reason = order.cancel_reason or record.reason_text
        if order.status == CANCELLED:
            order.cancel_initiator = record.role
            order.cancel_time = self.clock.seconds()
            if record.role == "BUYER":
                order.request_cancel_time = order.request_cancel_time or order.cancel_time
        if self.settings.recompute_cancelled and order.live_lines:
            for line in lines:
                line.original_price = line.seller_discount = line.platform_discount = line.tax = ZERO
        self._moved(order)
        if ring:
            self._cancellation_bell(record)

    def _pending(self, order_id: str) -> Cancellation | None:
        if not self.world.orders[order_id].cancel_requested:
            return None
        return next(
            (
                record
                for record in reversed(self.world.cancellations.values())
                if record.order_id == order_id and record.status == "PENDING"
            ),
            None,
        )

    def _close_request(self, order: Order, record: Cancellation, status: str) -> None:
        record.status = status
        record.update_time = self.clock.seconds()
        order.cancel_requested = False
        self._cancellation_bell(record)

    def _reject_by_shipping(self, order: Order) -> None:
        record = self._pending(order.id)
        if record is not None:
            self.record("cancel_request_rejected_by_shipping", order_id=order.id, cancel_id=record.id)
            self._close_request(order, record, "CANCEL")

    def _package(
        self, order: Order, wanted: Wanted, provider: carriers.Provider, items: list[Parcelled]
    ) -> Package:
        now = self.clock.seconds()
        package = self._package_of_number(order, wanted.number)
        if package is None:
            package = Package(
                id=self.world.new_id("1153"),
                shop_id=order.shop_id,
                order_ids=[],
                line_ids=[],
                number=wanted.number,
                provider_id=provider.id,
                provider_name=provider.name,
                shipped_at=now,
                update_time=now,
                more_numbers=wanted.more_numbers,
            )
            self.world.packages[package.id] = package
        if order.id not in package.order_ids:
            package.order_ids.append(order.id)
        for item in items:
            item.package_id, item.number = package.id, wanted.number
            item.provider_id, item.provider_name, item.rts_time = provider.id, provider.name, now
            item.status = AWAITING_COLLECTION
            package.line_ids.append(item.id)
        self.world.numbers.setdefault(wanted.number, set()).add(order.id)
        shipping.close_bundles(order.live_lines)
        order.rts_time = now
        return package

    def _package_of_number(self, order: Order, number: str) -> Package | None:
        """Orders that share a number travel in one package."""
        for other_id in self.world.numbers.get(number, ()):
            other = self.world.orders[other_id]
            for package_id in other.package_ids:
                package = self.world.packages[package_id]
                if package.number == number and package.shop_id == order.shop_id:
                    return package
        return None

    def _combined(self, package: Package) -> None:
        for order_id in package.order_ids:
            self.world.orders[order_id].split_or_combine_tag = "COMBINED"
        self._package_bell(self.world.orders[package.order_ids[-1]], "COMBINE", package.id, package.order_ids)

    def _advance(self, order: Order, start: str, end: str) -> None:
        for item in (item for line in order.live_lines for item in (line, *line.parts)):
            if item.status == start:
                item.status = end
        self._moved(order)


def money(value: Any) -> Decimal:
    return Decimal(str(value))


def _line_facts(row: Sequence[Any] | Json) -> Json:
    if isinstance(row, dict):
        return row
    names = ("sku", "quantity", "price", "seller_discount", "platform_discount")
    return dict(zip(names, row, strict=False))


def _spread(lines: list[Line], total: Decimal) -> None:
    """Exact to the cent: the last unit takes what is left."""
    if not lines:
        return
    share = (total / len(lines)).quantize(CENT, ROUND_HALF_UP)
    for line in lines:
        line.tax = share
    lines[-1].tax = total - share * (len(lines) - 1)
