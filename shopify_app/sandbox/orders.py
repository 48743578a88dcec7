"""Orders after completion: payments, fulfillments, cancellation, refunds, edits (Shopify contract d, e, h, i)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shopify_app.sandbox import drafts
from shopify_app.sandbox.carriers import tracking_url
from shopify_app.sandbox.model import (
    ZERO,
    Draft,
    Fulfillment,
    Job,
    Metafield,
    Order,
    OrderLine,
    Refund,
    RefundLine,
    Transaction,
)
from shopify_app.sandbox.pricing import spread
from shopify_app.sandbox.problems import UserErrors
from shopify_app.sandbox.settings import draw

if TYPE_CHECKING:
    from shopify_app.sandbox.shop import ShopState

APP_ID = 330000000001
APP_NAMESPACE = f"app--{APP_ID}"


def from_draft(shop: ShopState, draft: Draft, *, pending: bool) -> Order:
    now = shop.platform.clock.stamp()
    settings = shop.platform.settings
    order = Order(
        id=shop.platform.ids.next("Order"),
        number=shop.record.next_order,
        created_at=now,
        updated_at=now,
        processed_at=now,
        currency=draft.currency,
        shop_currency=draft.shop_currency,
        lines=_lines_of(shop, draft, keep_attributes=settings.line_attributes_carry_over),
        totals=draft.totals,
        fulfillment_order_id=shop.platform.ids.next("FulfillmentOrder"),
        tags=list(draft.tags),
        note=draft.note,
        attributes=dict(draft.attributes) if settings.order_attributes_carry_over else {},
        tax_exempt=draft.tax_exempt,
        shipping_title=draft.shipping_title,
        shipping_line_id=shop.platform.ids.next("ShippingLine") if draft.shipping_title else None,
        shipping_address=draft.shipping_address,
        billing_address=draft.billing_address,
        discount=draft.applied_discount,
        email=draft.email,
        phone=draft.phone,
        customer_id=draft.customer_id,
        po_number=draft.po_number,
        source_name=str(APP_ID),
        financial_status="PENDING" if pending else "PAID",
    )
    shop.record.next_order += 1
    shop.orders[order.id] = order
    _pay(shop, order, "manual", status="PENDING" if pending else "SUCCESS")
    for line in order.lines:
        shop.commit(line.variant_id, line.quantity)
    return order


def mark_as_paid(shop: ShopState, order: Order, gateway: str = "manual") -> None:
    """Settle what is outstanding. Raises UserErrors when nothing is."""
    if not order.can_mark_as_paid:
        raise UserErrors("Order cannot be marked as paid.", ["id"])
    if gateway != "manual" and gateway not in shop.record.manual_payment_methods:
        raise UserErrors(
            "Payment provider is not configured on shop.", ["paymentMethodName"], "GATEWAY_NOT_FOUND"
        )
    order.transactions = [t for t in order.transactions if t.status != "PENDING"]
    _pay(shop, order, gateway, status="SUCCESS")
    order.financial_status = "PAID"
    shop.note("order_paid", order=order.id, gateway=gateway)
    shop.touch(order, "orders/updated")


def update(shop: ShopState, order: Order, given: dict[str, Any], by: str = "app") -> Order:
    """`given` is an OrderInput. Raises UserErrors."""
    for member in ("email", "phone"):
        if given.get(member):
            shop.violation(f"an order was given {member}")
    new_metafields = [checked_metafield(shop, order, m) for m in given.get("metafields") or ()]
    if "tags" in given:
        order.tags = drafts.clean_tags(given["tags"] or ())
    if "note" in given:
        order.note = given["note"]
    if "poNumber" in given:
        order.po_number = given["poNumber"]
    if "customAttributes" in given:
        order.attributes = drafts.attributes(given["customAttributes"])
    if "shippingAddress" in given:
        order.shipping_address = drafts.merged(order.shipping_address, given["shippingAddress"])
    for metafield in new_metafields:
        store_metafield(order, metafield)
    shop.note("order_updated", by=by, order=order.id, members=sorted(set(given) - {"id"}))
    shop.touch(order, "orders/updated")
    return order


def checked_metafield(shop: ShopState, order: Order, given: dict[str, Any]) -> Metafield:
    """A metafield ready to be stored; values of type `id` are unique in the shop."""
    namespace = namespace_of(given.get("namespace"))
    definition = next(
        (d for d in shop.record.definitions if (d.namespace, d.key) == (namespace, given["key"])), None
    )
    kind = given.get("type") or (definition.type_name if definition else None)
    if kind is None:
        raise UserErrors("Type can't be blank", ["metafields", "type"], "INVALID")
    if definition and definition.type_name != kind:
        raise UserErrors(f"Type must be {definition.type_name}", ["metafields", "type"], "INVALID_TYPE")
    if kind == "id" and definition is None:
        raise UserErrors("Type id needs a metafield definition", ["metafields", "type"], "INVALID_TYPE")
    if kind == "id" and _taken(shop, order, namespace, given["key"], given["value"]):
        raise UserErrors("Value has already been taken", ["metafields", "value"], "TAKEN")
    now = shop.platform.clock.stamp()
    return Metafield(
        id=shop.platform.ids.next("Metafield"),
        namespace=namespace,
        key=given["key"],
        type=kind,
        value=given["value"],
        created_at=now,
        updated_at=now,
    )


def store_metafield(order: Order, metafield: Metafield) -> None:
    for place, known in enumerate(order.metafields):
        if (known.namespace, known.key) == (metafield.namespace, metafield.key):
            metafield.id = known.id
            order.metafields[place] = metafield
            return
    order.metafields.append(metafield)


def namespace_of(given: str | None) -> str:
    """The app's own namespace is written `$app`, or left out."""
    if not given or given == "$app":
        return APP_NAMESPACE
    return given.replace("$app:", f"{APP_NAMESPACE}--", 1)


def find_by_metafield(shop: ShopState, namespace: str, key: str, value: str) -> Order | None:
    for order in shop.orders.values():
        if any((m.namespace, m.key, m.value) == (namespace, key, value) for m in order.metafields):
            return order
    return None


def change_tags(
    shop: ShopState,
    thing: Draft | Order,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    by: str = "app",
) -> None:
    """Other tags are left alone; only a real change is one."""
    gone = {tag.strip().casefold() for tag in remove}
    tags = drafts.clean_tags([*(t for t in thing.tags if t.casefold() not in gone), *add])
    shop.note("tags_changed", by=by, id=thing.id, added=list(add), removed=list(remove), tags=tags)
    if tags != thing.tags:
        thing.tags = tags
        shop.touch(thing, "draft_orders/update" if isinstance(thing, Draft) else "orders/updated")


def show_fulfillment(shop: ShopState, order: Order, status: str) -> None:
    order.at_warehouse = status
    shop.touch(order, "orders/updated")


def check_cancellable(shop: ShopState, order: Order) -> None:
    """Raises UserErrors with the admin's own reasons (Shopify contract e)."""
    if order.cancelled_at:
        raise UserErrors("Order has already been canceled", ["orderId"], "INVALID")
    if order.cancel_job:
        # The contract names this refusal and not its words: none that a caller could look for.
        raise UserErrors("Another cancellation of the order is pending", ["orderId"], "INVALID")
    accepted = order.at_warehouse == "IN_PROGRESS" and not shop.platform.settings.warehouses_let_go
    if order.fulfilled_units or accepted:
        raise UserErrors("Cannot cancel an order with outstanding fulfillments", ["orderId"], "INVALID")


def cancel_later(
    shop: ShopState, order: Order, *, reason: str, restock: bool, refund: bool, note: str | None
) -> Job:
    """The platform answers with a job and cancels a moment later; what was shipped meanwhile stops it."""
    delay = draw(shop.platform.random, shop.platform.settings.cancel_after)
    job = Job(
        id=shop.platform.ids.uuid("Job"),
        order_id=order.id,
        due_at=shop.platform.clock.now() + timedelta(seconds=delay),
        reason=reason,
        restock=restock,
        refund=refund,
        note=note,
    )
    shop.record.jobs[job.id] = job
    order.cancel_job = job.id
    shop.note("cancel_started", order=order.id, job=job.id)
    if delay:
        plan_cancellation(shop, job)
    else:
        _finish_cancellation(shop, job)
    return job


def plan_cancellation(shop: ShopState, job: Job) -> None:
    shop.platform.agenda.at(job.due_at, lambda: _finish_cancellation(shop, job))


def cancel(
    shop: ShopState, order: Order, *, reason: str, restock: bool, refund: bool, note: str | None, by: str
) -> None:
    now = shop.platform.clock.stamp()
    order.cancelled_at = order.closed_at = now
    order.cancel_reason = reason
    order.staff_note = note
    order.holds = []
    units = {line.id: line.current_quantity for line in order.lines if line.current_quantity}
    if refund and order.net_payment_set > ZERO:
        _refund(shop, order, units, order.net_payment_set, "CANCEL" if restock else "NO_RESTOCK", None)
    for line in order.lines:
        if restock:
            shop.restock(line.variant_id, line.current_quantity)
        line.current_quantity = 0
    shop.note("order_cancelled", by=by, order=order.id, reason=reason, restock=restock, refunded=refund)
    shop.touch(order, "orders/cancelled", "orders/updated")


def _finish_cancellation(shop: ShopState, job: Job) -> None:
    with shop.platform.lock:
        order = shop.orders.get(job.order_id)
        job.failure = _obstacle(shop, order) if order else "Order does not exist"
        job.done = True
        if order is None:
            return
        order.cancel_job = None
        if not job.failure:
            cancel(
                shop,
                order,
                reason=job.reason,
                restock=job.restock,
                refund=job.refund,
                note=job.note,
                by="app",
            )


def _obstacle(shop: ShopState, order: Order) -> str:
    """Why a cancellation that was begun has no effect: only its job tells, and the order that stands."""
    if order.cancelled_at:
        return "Order has already been canceled"
    if order.fulfilled_units:
        return "Cannot cancel an order with outstanding fulfillments"
    if shop.platform.settings.failing_cancellations:
        shop.platform.settings.failing_cancellations -= 1
        return "The order could not be canceled"
    return ""


def delete(shop: ShopState, order: Order) -> None:
    for fulfillment in order.fulfillments:
        shop.fulfillments.pop(fulfillment.id, None)
    del shop.orders[order.id]
    shop.record.deleted_orders.append(order.id)
    shop.unindex(order)
    shop.note("order_deleted", by="merchant", order=order.id)
    shop.announce("orders/delete", order)


def fulfill(
    shop: ShopState,
    order: Order,
    lines: dict[str, int] | None,
    company: str | None,
    numbers: list[str],
    urls: list[str],
) -> Fulfillment:
    units = _units(order, lines)
    if order.cancelled_at or not units:
        raise UserErrors("There is nothing left to fulfill")
    if order.holds:
        raise UserErrors("The fulfillment order is on hold")
    now = shop.platform.clock.stamp()
    fulfillment = Fulfillment(
        id=shop.platform.ids.next("Fulfillment"),
        order_id=order.id,
        order_name=order.name,
        number=len(order.fulfillments) + 1,
        created_at=now,
        updated_at=now,
        units=units,
        company=company,
        numbers=numbers,
        urls=urls or _urls(company, numbers),
        line_ids={line_id: shop.platform.ids.next("FulfillmentLineItem") for line_id in units},
    )
    order.fulfillments.append(fulfillment)
    shop.fulfillments[fulfillment.id] = fulfillment
    for line in order.lines:
        shop.uncommit(line.variant_id, units.get(line.id, 0))
    if order.display_fulfillment_status == "FULFILLED" and order.financial_status == "PAID":
        order.closed_at = now
    shop.note("fulfillment_created", by="merchant", **_facts(fulfillment))
    shop.announce("fulfillments/create", fulfillment)
    shop.touch(order, "orders/updated")
    return fulfillment


def update_tracking(
    shop: ShopState, fulfillment: Fulfillment, company: str | None, numbers: Iterable[str] | None
) -> Fulfillment:
    if company is not None:
        fulfillment.company = company
    if numbers is not None:
        fulfillment.numbers = list(numbers)
    fulfillment.urls = _urls(fulfillment.company, fulfillment.numbers)
    shop.note("fulfillment_updated", by="merchant", **_facts(fulfillment))
    return _fulfillment_changed(shop, fulfillment)


def report_shipment(shop: ShopState, fulfillment: Fulfillment, shipment_status: str) -> Fulfillment:
    fulfillment.shipment_status = shipment_status
    return _fulfillment_changed(shop, fulfillment)


def cancel_fulfillment(shop: ShopState, fulfillment: Fulfillment) -> Fulfillment:
    if fulfillment.status == "CANCELLED":
        raise UserErrors("Fulfillment is already cancelled")
    order = shop.orders[fulfillment.order_id]
    fulfillment.status = "CANCELLED"
    order.closed_at = None
    for line in order.lines:
        shop.uncommit(line.variant_id, -fulfillment.units.get(line.id, 0))
    shop.note("fulfillment_cancelled", by="merchant", **_facts(fulfillment))
    return _fulfillment_changed(shop, fulfillment)


def refund_by_hand(
    shop: ShopState, order: Order, lines: dict[str, int] | None, amount: Decimal | None
) -> Refund:
    units = _chosen(order, lines, {line.id: line.current_quantity for line in order.lines})
    if amount is None:
        whole = lines is None
        priced = sum((line.unit_price * units.get(line.id, 0) for line in order.lines), ZERO)
        amount = order.net_payment_set if whole else min(priced, order.net_payment_set)
    refund = _refund(shop, order, units, amount, "NO_RESTOCK", None)
    _take_units(order, units)
    shop.note("order_refunded", by="merchant", order=order.id, refund=refund.id, amount=str(amount))
    shop.touch(order, "orders/updated")
    return refund


def refund_by_app(shop: ShopState, order: Order, given: dict[str, Any]) -> Refund:
    """`given` is a RefundInput. Raises UserErrors with the recorded texts."""
    payments = given.get("transactions") or ()
    amount = sum((Decimal(str(p["amount"])) for p in payments), ZERO)
    if any(not p.get("parentId") for p in payments):
        raise UserErrors("Transactions parent_id can't be blank")
    if amount > order.net_payment_set:
        raise UserErrors("Refund amount cannot be greater than net payment received")
    units = {r["lineItemId"]: r["quantity"] for r in given.get("refundLineItems") or ()}
    for line in order.lines:
        if units.get(line.id, 0) > line.current_quantity:
            raise UserErrors("Refund line items Quantity cannot refund more items than were purchased")
    if given.get("notify"):
        shop.mail("refund_notification", order=order.id)
        shop.violation("refundCreate with notify: the buyer is TikTok's", "refundCreate")
    kinds = {r.get("restockType") or "NO_RESTOCK" for r in given.get("refundLineItems") or ()}
    processed = drafts.moment(given["processedAt"]) if given.get("processedAt") else None
    refund = _refund(
        shop, order, units, amount, kinds.pop() if kinds else "NO_RESTOCK", given.get("note"), processed
    )
    _take_units(order, units)
    shop.note("order_refunded", order=order.id, refund=refund.id, amount=str(amount))
    shop.touch(order, "orders/updated")
    return refund


def edit_lines(
    shop: ShopState, order: Order, quantities: dict[str, int], add: Iterable[tuple[str, int]]
) -> Order:
    for line in order.lines:
        wanted = quantities.get(line.id, quantities.get(line.sku or ""))
        if wanted is None:
            continue
        shop.commit(line.variant_id, wanted - line.current_quantity)
        line.current_quantity = wanted
    for sku, quantity in add:
        order.lines.append(_added_line(shop, order, sku, quantity))
    shop.note("order_edited", by="merchant", order=order.id)
    shop.touch(order, "orders/edited", "orders/updated")
    return order


def _lines_of(shop: ShopState, draft: Draft, *, keep_attributes: bool) -> list[OrderLine]:
    order_discount = draft.totals.discounts - sum((line.total_discount_set for line in draft.lines), ZERO)
    shares = spread(order_discount, [line.discounted_total_set for line in draft.lines])
    return [
        OrderLine(
            id=shop.platform.ids.next("LineItem"),
            title=line.title,
            variant_title=line.variant_title,
            sku=line.sku,
            quantity=line.quantity,
            current_quantity=line.quantity,
            unit_price=line.unit_price,
            discount=line.total_discount_set,
            order_discount=share,
            variant_id=line.variant_id,
            product_id=line.product_id,
            vendor=line.vendor,
            taxable=line.taxable,
            requires_shipping=line.requires_shipping,
            attributes=dict(line.attributes) if keep_attributes else {},
            currency=draft.currency,
        )
        for line, share in zip(draft.lines, shares, strict=True)
    ]


def _added_line(shop: ShopState, order: Order, sku: str, quantity: int) -> OrderLine:
    variant = shop.variant(sku)
    shop.commit(variant.id, quantity)
    return OrderLine(
        id=shop.platform.ids.next("LineItem"),
        title=shop.products[variant.product_id].title,
        variant_title=variant.title,
        sku=sku,
        quantity=quantity,
        current_quantity=quantity,
        unit_price=variant.price,
        variant_id=variant.id,
        product_id=variant.product_id,
        currency=order.currency,
    )


def _pay(shop: ShopState, order: Order, gateway: str, *, status: str) -> None:
    now = shop.platform.clock.stamp()
    order.transactions.append(
        Transaction(
            id=shop.platform.ids.next("OrderTransaction"),
            kind="SALE",
            status=status,
            gateway=gateway,
            amount=order.totals.total,
            created_at=now,
            processed_at=now,
            currency=order.currency,
        )
    )


def _refund(
    shop: ShopState,
    order: Order,
    units: dict[str, int],
    amount: Decimal,
    restock_type: str,
    note: str | None,
    processed_at: datetime | None = None,
) -> Refund:
    now = shop.platform.clock.stamp()
    sale = next((t for t in order.transactions if t.kind == "SALE"), None)
    payment = Transaction(
        id=shop.platform.ids.next("OrderTransaction"),
        kind="REFUND",
        status="SUCCESS",
        gateway=sale.gateway if sale else "manual",
        amount=amount,
        created_at=now,
        processed_at=processed_at or now,
        parent_id=sale.id if sale else None,
        currency=order.currency,
    )
    prices = {line.id: line.discounted_unit_price_after_all_discounts_set for line in order.lines}
    refund = Refund(
        id=shop.platform.ids.next("Refund"),
        order_id=order.id,
        created_at=now,
        processed_at=processed_at or now,
        note=note,
        lines=[
            RefundLine(
                id=shop.platform.ids.next("RefundLineItem"),
                line_id=line_id,
                quantity=quantity,
                restock_type=restock_type,
                subtotal=prices[line_id] * quantity,
                currency=order.currency,
            )
            for line_id, quantity in units.items()
            if quantity
        ],
        transactions=[payment],
        currency=order.currency,
    )
    order.transactions.append(payment)
    order.refunds.append(refund)
    order.financial_status = "REFUNDED" if order.net_payment_set <= ZERO else "PARTIALLY_REFUNDED"
    shop.announce("refunds/create", refund)
    return refund


def _take_units(order: Order, units: dict[str, int]) -> None:
    for line in order.lines:
        taken = units.get(line.id, 0)
        line.current_quantity -= taken
        line.refunded += taken


def _fulfillment_changed(shop: ShopState, fulfillment: Fulfillment) -> Fulfillment:
    fulfillment.updated_at = max(shop.platform.clock.stamp(), fulfillment.updated_at)
    shop.announce("fulfillments/update", fulfillment)
    shop.touch(shop.orders[fulfillment.order_id], "orders/updated")
    return fulfillment


def _units(order: Order, lines: dict[str, int] | None) -> dict[str, int]:
    left = {line.id: order.remaining(line) for line in order.lines}
    units = _chosen(order, lines, left)
    for line_id, quantity in units.items():
        if quantity > left[line_id]:
            raise UserErrors("Quantity is more than what is left to fulfill")
    return {line_id: quantity for line_id, quantity in units.items() if quantity}


def _chosen(order: Order, lines: dict[str, int] | None, default: dict[str, int]) -> dict[str, int]:
    """Lines may be named by gid or by SKU."""
    if lines is None:
        return {line_id: quantity for line_id, quantity in default.items() if quantity}
    by_name = {line.sku or "": line.id for line in order.lines} | {line.id: line.id for line in order.lines}
    return {by_name[name]: quantity for name, quantity in lines.items()}


def _taken(shop: ShopState, order: Order, namespace: str, key: str, value: str) -> bool:
    holder = find_by_metafield(shop, namespace, key, value)
    return holder is not None and holder is not order


def _urls(company: str | None, numbers: Sequence[str]) -> list[str]:
    return [url for number in numbers if (url := tracking_url(company, number))]


def _facts(fulfillment: Fulfillment) -> dict[str, Any]:
    return {
        "order": fulfillment.order_id,
        "fulfillment": fulfillment.id,
        "company": fulfillment.company,
        "numbers": list(fulfillment.numbers),
        "units": dict(fulfillment.units),
    }
