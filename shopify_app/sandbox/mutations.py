"""The Admin API's mutations. Each returns its payload; UserErrors become `userErrors`, nothing else was done then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shopify_app.sandbox import drafts, orders, queries
from shopify_app.sandbox.model import Draft, Hold, MetafieldDefinition, Order, Subscription
from shopify_app.sandbox.problems import UserErrors, access_denied, refusal
from shopify_app.sandbox.webhooks import COMPLIANCE, SCOPES, TOPICS

if TYPE_CHECKING:
    from shopify_app.sandbox.engine import Context
    from shopify_app.sandbox.shop import ShopState

Arguments = dict[str, Any]
Payload = dict[str, Any]


def run(context: Context, name: str, arguments: Arguments) -> Payload:
    mutation = MUTATIONS.get(name)
    if mutation is None:
        context.gaps.append(f"Mutation.{name}")
        raise refusal("INTERNAL_SERVER_ERROR", f"the sandbox does not model {name}")
    errors_member = "orderCancelUserErrors" if name == "orderCancel" else "userErrors"
    try:
        payload = mutation(context, arguments)
    except UserErrors as problem:
        return {errors_member: problem.entries}
    return {errors_member: [], **payload}


def _draft_create(context: Context, arguments: Arguments) -> Payload:
    return {"draftOrder": drafts.create(context.shop, arguments["input"])}


def _draft_calculate(context: Context, arguments: Arguments) -> Payload:
    return {"calculatedDraftOrder": drafts.calculate(context.shop, arguments["input"])}


def _draft_update(context: Context, arguments: Arguments) -> Payload:
    draft = _draft(context.shop, arguments["id"])
    return {"draftOrder": drafts.update(context.shop, draft, arguments["input"])}


def _draft_complete(context: Context, arguments: Arguments) -> Payload:
    """A second call is harmless: the same order, and a user error (Shopify contract d)."""
    draft = _draft(context.shop, arguments["id"])
    if arguments.get("paymentGatewayId"):
        raise UserErrors("Invalid payment gateway", ["paymentGatewayId"])
    if draft.completed_at:
        context.shop.note("completed_again", draft=draft.id, order=draft.order_id)
        return {"draftOrder": draft, "userErrors": UserErrors("This order has been paid").entries}
    drafts.complete(context.shop, draft, pending=bool(arguments.get("paymentPending")))
    return {"draftOrder": draft}


def _draft_delete(context: Context, arguments: Arguments) -> Payload:
    draft = _draft(context.shop, arguments["input"]["id"])
    drafts.delete(context.shop, draft)
    return {"deletedId": draft.id}


def _order_update(context: Context, arguments: Arguments) -> Payload:
    given = arguments["input"]
    return {"order": orders.update(context.shop, _order(context.shop, given["id"]), given)}


def _order_cancel(context: Context, arguments: Arguments) -> Payload:
    shop = context.shop
    order = _order(shop, arguments["orderId"], "orderId")
    method = arguments.get("refundMethod") or {}
    if "refund" in arguments and method:
        raise UserErrors("Refund and refundMethod cannot be used together", ["refund"], "INVALID")
    if len(arguments.get("staffNote") or "") > 255:
        raise UserErrors("Staff note is too long (maximum is 255 characters)", ["staffNote"], "INVALID")
    orders.check_cancellable(shop, order)
    if arguments["restock"] and shop.platform.settings.deactivated_location and order.received:
        raise UserErrors("Cannot restock a paid order to a deactivated location", ["restock"], "INVALID")
    if arguments.get("notifyCustomer"):
        shop.mail("order_cancelled", order=order.id)
        shop.violation("orderCancel with notifyCustomer: the buyer is TikTok's", "orderCancel")
    job = orders.cancel_later(
        shop,
        order,
        reason=arguments["reason"],
        restock=arguments["restock"],
        refund=bool(method.get("originalPaymentMethodsRefund") or arguments.get("refund")),
        note=arguments.get("staffNote"),
    )
    return {"job": job, "jobResult": job}


def _mark_as_paid(context: Context, arguments: Arguments) -> Payload:
    order = _order(context.shop, arguments["input"]["id"])
    orders.mark_as_paid(context.shop, order)
    return {"order": order}


def _manual_payment(context: Context, arguments: Arguments) -> Payload:
    if arguments.get("amount") and context.shop.record.plan != "Plus":
        raise access_denied("amount", "The API client must be installed on a Shopify Plus store.")
    order = _order(context.shop, arguments["id"])
    orders.mark_as_paid(context.shop, order, arguments.get("paymentMethodName") or "manual")
    return {"order": order}


def _order_create(context: Context, arguments: Arguments) -> Payload:
    context.shop.violation("orderCreate is not our route: an order starts as a draft", "orderCreate")
    raise UserErrors("Orders are made from drafts in this sandbox", ["order"], "INVALID")


def _tags_add(context: Context, arguments: Arguments) -> Payload:
    thing = _taggable(context.shop, arguments["id"], "tagsAdd")
    orders.change_tags(context.shop, thing, add=arguments["tags"])
    return {"node": thing}


def _tags_remove(context: Context, arguments: Arguments) -> Payload:
    thing = _taggable(context.shop, arguments["id"], "tagsRemove")
    orders.change_tags(context.shop, thing, remove=arguments["tags"])
    return {"node": thing}


def _metafields_set(context: Context, arguments: Arguments) -> Payload:
    given = arguments["metafields"]
    if len(given) > 25:
        raise UserErrors(
            "Exceeded the maximum metafields input limit of 25", ["metafields"], "LESS_THAN_OR_EQUAL_TO"
        )
    pairs = []
    for entry in given:
        order = _order(context.shop, entry["ownerId"], "metafields")
        pairs.append((order, orders.checked_metafield(context.shop, order, entry)))
    for order, metafield in pairs:
        orders.store_metafield(order, metafield)
        context.shop.note("metafield_set", order=order.id, key=metafield.key)
        context.shop.touch(order, "orders/updated")
    return {"metafields": [metafield for _, metafield in pairs]}


def _definition_create(context: Context, arguments: Arguments) -> Payload:
    given = arguments["definition"]
    namespace = orders.namespace_of(given.get("namespace"))
    known = context.shop.record.definitions
    if any(
        (d.namespace, d.key, d.owner_type) == (namespace, given["key"], given["ownerType"]) for d in known
    ):
        raise UserErrors("Key is in use for Order metafields.", ["definition", "key"], "TAKEN")
    definition = MetafieldDefinition(
        id=context.shop.platform.ids.next("MetafieldDefinition"),
        namespace=namespace,
        key=given["key"],
        name=given["name"],
        type_name=given["type"],
        owner_type=given["ownerType"],
    )
    known.append(definition)
    return {"createdDefinition": definition}


def _definition_delete(context: Context, arguments: Arguments) -> Payload:
    given = arguments["identifier"]
    wanted = (orders.namespace_of(given.get("namespace")), given["key"], given["ownerType"])
    known = context.shop.record.definitions
    found = next((d for d in known if (d.namespace, d.key, d.owner_type) == wanted), None)
    if found is None:
        raise UserErrors("Definition not found.", ["identifier"], "NOT_FOUND")
    known.remove(found)
    return {"deletedDefinitionId": found.id}


def _hold(context: Context, arguments: Arguments) -> Payload:
    order = _order_of_fulfillment_order(context.shop, arguments["id"])
    given = arguments["fulfillmentHold"]
    handle = given.get("handle")
    if any(hold.handle == handle for hold in order.holds):
        raise UserErrors(
            "Handle is already in use", ["fulfillmentHold", "handle"], "DUPLICATE_FULFILLMENT_HOLD_HANDLE"
        )
    hold = Hold(
        id=context.shop.platform.ids.next("FulfillmentHold"),
        handle=handle,
        reason=given["reason"],
        reason_notes=given.get("reasonNotes"),
    )
    order.holds.append(hold)
    context.shop.note("hold_placed", order=order.id)
    return {"fulfillmentHold": hold, "fulfillmentOrder": queries.fulfillment_order(context, order)}


def _release_hold(context: Context, arguments: Arguments) -> Payload:
    order = _order_of_fulfillment_order(context.shop, arguments["id"])
    named = arguments.get("holdIds")
    if named is None:
        context.shop.violation("fulfillmentOrderReleaseHold without holdIds releases everybody's holds")
    order.holds = [hold for hold in order.holds if named is not None and hold.id not in named]
    context.shop.note("hold_released", order=order.id)
    return {"fulfillmentOrder": queries.fulfillment_order(context, order)}


def _refund_create(context: Context, arguments: Arguments) -> Payload:
    """The same key gives the same refund for a day (Shopify contract 1)."""
    shop, given = context.shop, arguments["input"]
    order = _order(shop, given["orderId"])
    key = f"refundCreate:{context.keys.get('refundCreate', '')}"
    before = shop.record.idempotency.get(key)
    refund = next((r for r in order.refunds if r.id == before), None)
    if refund is None:
        refund = orders.refund_by_app(shop, order, given)
        shop.record.idempotency[key] = refund.id
    return {"refund": refund, "order": order}


def _inventory_set(context: Context, arguments: Arguments) -> Payload:
    shop, given = context.shop, arguments["input"]
    changes = []
    for place, entry in enumerate(given["quantities"]):
        variant = next(
            (v for v in shop.variants.values() if v.inventory_item_id == entry["inventoryItemId"]), None
        )
        if variant is None:
            raise UserErrors(
                "The specified inventory item could not be found.", ["input"], "INVALID_INVENTORY_ITEM"
            )
        if "changeFromQuantity" not in entry:
            shop.violation("inventorySetQuantities without changeFromQuantity", "inventorySetQuantities")
        expected = entry.get("changeFromQuantity")
        if expected is not None and expected != variant.available:
            where = ["input", "quantities", str(place), "changeFromQuantity"]
            raise UserErrors("The quantity has changed.", where, "CHANGE_FROM_QUANTITY_STALE")
        changes.append((variant, entry["quantity"] - variant.available))
    for variant, delta in changes:
        variant.available += delta
        variant.on_hand += delta
        shop.announce("inventory_levels/update", variant)
    return {
        "inventoryAdjustmentGroup": {
            "id": shop.platform.ids.next("InventoryAdjustmentGroup"),
            "createdAt": shop.platform.clock.stamp(),
            "reason": given["reason"],
            "changes": [
                {"name": given["name"], "delta": delta, "quantityAfterChange": variant.available}
                for variant, delta in changes
            ],
        }
    }


def _subscription_create(context: Context, arguments: Arguments) -> Payload:
    shop, given = context.shop, arguments["webhookSubscription"]
    topic = TOPICS.get(arguments["topic"])
    if topic in COMPLIANCE:
        raise UserErrors("Compliance topics are subscribed in the app's configuration", ["topic"])
    scope = SCOPES.get((topic or "").split("/")[0])
    if scope and not shop.has_scope(scope):
        raise access_denied("webhookSubscriptionCreate", f"`{scope}` access scope.")
    uri = given.get("uri") or ""
    if any((s.topic, s.uri) == (arguments["topic"], uri) for s in shop.record.subscriptions.values()):
        raise UserErrors("Address for this topic has already been taken", ["webhookSubscription", "uri"])
    now = shop.platform.clock.stamp()
    subscription = Subscription(
        id=shop.platform.ids.next("WebhookSubscription"),
        topic=arguments["topic"],
        uri=uri,
        created_at=now,
        updated_at=now,
        include_fields=list(given.get("includeFields") or ()),
        filter=given.get("filter"),
        name=given.get("name"),
    )
    shop.record.subscriptions[subscription.id] = subscription
    return {"webhookSubscription": subscription}


def _subscription_delete(context: Context, arguments: Arguments) -> Payload:
    if context.shop.record.subscriptions.pop(arguments["id"], None) is None:
        raise UserErrors("Webhook subscription does not exist", ["id"])
    return {"deletedWebhookSubscriptionId": arguments["id"]}


def _payment_terms(context: Context, arguments: Arguments) -> Payload:
    _draft(context.shop, arguments["referenceId"], "referenceId").payment_pending = True
    return {
        "paymentTerms": {
            "id": context.shop.platform.ids.next("PaymentTerms"),
            "paymentTermsName": "Due on receipt",
            "dueInDays": None,
        }
    }


def _draft(shop: ShopState, gid: str, member: str = "id") -> Draft:
    draft = shop.drafts.get(queries.typed(gid, "DraftOrder"))
    if draft is None:
        raise UserErrors("Draft order not found", [member])
    return draft


def _order(shop: ShopState, gid: str, member: str = "id") -> Order:
    order = shop.visible_order(queries.typed(gid, "Order"))
    if order is None:
        raise UserErrors("Order does not exist", [member], "NOT_FOUND")
    return order


def _taggable(shop: ShopState, gid: str, name: str) -> Draft | Order:
    scope = "write_draft_orders" if queries.kind_of(gid) == "DraftOrder" else "write_orders"
    if not shop.has_scope(scope):
        raise access_denied(name, f"`{scope}` access scope.")
    try:
        return shop.tagged(gid)
    except KeyError:
        raise UserErrors("The node does not exist", ["id"]) from None


def _order_of_fulfillment_order(shop: ShopState, gid: str) -> Order:
    for order in shop.orders.values():
        if order.fulfillment_order_id == gid:
            return order
    raise UserErrors("Fulfillment order not found.", ["id"], "FULFILLMENT_ORDER_NOT_FOUND")


MUTATIONS: dict[str, Callable[[Context, Arguments], Payload]] = {
    "draftOrderCreate": _draft_create,
    "draftOrderCalculate": _draft_calculate,
    "draftOrderUpdate": _draft_update,
    "draftOrderComplete": _draft_complete,
    "draftOrderDelete": _draft_delete,
    "orderUpdate": _order_update,
    "orderCancel": _order_cancel,
    "orderMarkAsPaid": _mark_as_paid,
    "orderCreateManualPayment": _manual_payment,
    "orderCreate": _order_create,
    "tagsAdd": _tags_add,
    "tagsRemove": _tags_remove,
    "metafieldsSet": _metafields_set,
    "metafieldDefinitionCreate": _definition_create,
    "metafieldDefinitionDelete": _definition_delete,
    "fulfillmentOrderHold": _hold,
    "fulfillmentOrderReleaseHold": _release_hold,
    "refundCreate": _refund_create,
    "inventorySetQuantities": _inventory_set,
    "webhookSubscriptionCreate": _subscription_create,
    "webhookSubscriptionDelete": _subscription_delete,
    "paymentTermsCreate": _payment_terms,
}
