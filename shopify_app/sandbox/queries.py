"""What the Admin API's reading fields answer. Fields not named here are read off the object by their name."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shopify_app.sandbox import model
from shopify_app.sandbox.connections import by_id, connection, sort_key
from shopify_app.sandbox.model import (
    ZERO,
    Draft,
    DraftLine,
    Fulfillment,
    Order,
    Variant,
    number_of,
)
from shopify_app.sandbox.orders import find_by_metafield, namespace_of
from shopify_app.sandbox.problems import refusal
from shopify_app.sandbox.search import understand

if TYPE_CHECKING:
    from shopify_app.sandbox.engine import Context
    from shopify_app.sandbox.shop import ShopState

Arguments = dict[str, Any]
LOCATION = "gid://shopify/Location/8200000001"
GID_PREFIX = "gid://shopify/"
TYPE_NAMES = {
    model.DraftLine: "DraftOrderLineItem",
    model.Draft: "DraftOrder",
    model.OrderLine: "LineItem",
    model.Variant: "ProductVariant",
    model.Transaction: "OrderTransaction",
    model.RefundLine: "RefundLineItem",
    model.Hold: "FulfillmentHold",
    model.Subscription: "WebhookSubscription",
}


def type_name(value: Any) -> str:
    """The GraphQL type of an object behind an interface."""
    if isinstance(value, dict):
        return str(value["__typename"])
    return TYPE_NAMES.get(type(value), type(value).__name__)


def node(context: Context, gid: str) -> Any:
    """Any object by its gid; None when there is none. Raises the refusal for what is no gid."""
    shop = context.shop
    kind = kind_of(gid)
    finders: dict[str, Callable[[], Any]] = {
        "DraftOrder": lambda: shop.drafts.get(gid),
        "Order": lambda: shop.visible_order(gid),
        "Fulfillment": lambda: shop.fulfillment(gid),
        "Product": lambda: shop.products.get(gid),
        "ProductVariant": lambda: shop.variants.get(gid),
        "InventoryItem": lambda: _item_by_id(shop, gid),
        "Location": lambda: location(context) if gid == LOCATION else None,
        "WebhookSubscription": lambda: shop.record.subscriptions.get(gid),
        "FulfillmentOrder": lambda: fulfillment_order_by_id(context, gid),
    }
    return finders.get(kind, lambda: None)()


def kind_of(gid: str) -> str:
    if not gid.startswith(GID_PREFIX) or gid.count("/") != 4:
        raise refusal("RESOURCE_NOT_FOUND", f"Invalid global id '{gid}'")
    return gid.removeprefix(GID_PREFIX).split("/")[0]


def typed(gid: str, kind: str) -> str:
    """The gid, if it names this kind; else the platform's refusal."""
    if kind_of(gid) != kind:
        raise refusal("RESOURCE_NOT_FOUND", "Invalid id")
    return gid


def fulfillment_order(context: Context, order: Order) -> dict[str, Any]:
    open_units = sum(order.remaining(line) for line in order.lines)
    state = "ON_HOLD" if order.holds else "OPEN" if open_units and not order.cancelled_at else "CLOSED"
    if order.fulfilled_units and open_units and state == "OPEN":
        state = "IN_PROGRESS"
    return {
        "__typename": "FulfillmentOrder",
        "id": order.fulfillment_order_id,
        "status": state,
        "requestStatus": "UNSUBMITTED",
        "fulfillmentHolds": order.holds,
        "assignedLocation": {"name": "Main warehouse", "location": location(context)},
        "orderId": order.id,
        "orderName": order.name,
        "createdAt": order.created_at,
        "updatedAt": order.updated_at,
        "order": order,
        "lineItems": [
            {
                "id": line.id.replace("/LineItem/", "/FulfillmentOrderLineItem/"),
                "totalQuantity": line.current_quantity,
                "remainingQuantity": order.remaining(line),
                "sku": line.sku,
                "lineItem": line,
            }
            for line in order.lines
        ],
    }


def fulfillment_order_by_id(context: Context, gid: str) -> dict[str, Any] | None:
    for order in context.shop.orders.values():
        if order.fulfillment_order_id == gid:
            return fulfillment_order(context, order)
    return None


def location(context: Context) -> dict[str, Any]:
    return {
        "__typename": "Location",
        "id": LOCATION,
        "name": "Main warehouse",
        "isActive": True,
        "fulfillsOnlineOrders": True,
        "shipsInventory": True,
        "isFulfillmentService": False,
        "inventoryLevels": [inventory_level(context, v) for v in context.shop.variants.values()],
    }


def inventory_item(context: Context, variant: Variant) -> dict[str, Any]:
    return {
        "__typename": "InventoryItem",
        "id": variant.inventory_item_id,
        "sku": variant.sku,
        "tracked": variant.tracked,
        "requiresShipping": variant.requires_shipping,
        "createdAt": variant.created_at,
        "updatedAt": variant.updated_at,
        "legacyResourceId": str(number_of(variant.inventory_item_id)),
        "_variant": variant,
    }


def inventory_level(context: Context, variant: Variant) -> dict[str, Any]:
    item = number_of(variant.inventory_item_id)
    return {
        "id": f"gid://shopify/InventoryLevel/{number_of(LOCATION)}01?inventory_item_id={item}",
        "isActive": True,
        "createdAt": variant.created_at,
        "updatedAt": variant.updated_at,
        "location": {"__typename": "Location", "id": LOCATION, "name": "Main warehouse"},
        "item": inventory_item(context, variant),
        "_variant": variant,
    }


def _found(root: str, store: str) -> Callable[[Context, Any, Arguments], dict[str, Any]]:
    """A searching connection: hits come from the lagging index, their content from the truth."""

    def resolve(context: Context, _: Any, arguments: Arguments) -> dict[str, Any]:
        search = understand(arguments.get("query"), root)
        if search.warnings:
            context.searches.append(search.report(root))
        known = getattr(context.shop, store)
        hits = [known[gid] for gid in context.shop.indexes[root].find(search) if gid in known]
        if root == "orders":
            hits = [order for order in hits if context.shop.visible_order(order.id)]
        return connection(hits, arguments, sort_key(arguments.get("sortKey")))

    return resolve


def _order_by_identifier(context: Context, _: Any, arguments: Arguments) -> Order | None:
    identifier = arguments["identifier"]
    if "id" in identifier:
        return context.shop.visible_order(typed(identifier["id"], "Order"))
    custom = identifier["customId"]
    namespace = namespace_of(custom.get("namespace"))
    if not any((d.namespace, d.key) == (namespace, custom["key"]) for d in context.shop.record.definitions):
        raise refusal("NOT_FOUND", f"Metafield definition of type 'id' is required for {custom['key']}")
    return find_by_metafield(context.shop, namespace, custom["key"], custom["value"])


def _installation(context: Context, _: Any, __: Arguments) -> dict[str, Any]:
    scopes = context.shop.record.scopes
    return {"id": "gid://shopify/AppInstallation/1", "accessScopes": [{"handle": scope} for scope in scopes]}


def _shop(context: Context, _: Any, __: Arguments) -> dict[str, Any]:
    record = context.shop.record
    return {
        "id": f"gid://shopify/Shop/{record.number}",
        "name": record.name,
        "email": "owner@example.com",
        "contactEmail": "owner@example.com",
        "myshopifyDomain": record.domain,
        "currencyCode": record.currency,
        "enabledPresentmentCurrencies": record.currencies,
        "ianaTimezone": record.timezone,
        "taxesIncluded": False,
        "url": f"https://{record.domain}",
        "plan": {
            "publicDisplayName": record.plan,
            "partnerDevelopment": record.plan == "Development",
            "shopifyPlus": record.plan == "Plus",
        },
    }


def _job(context: Context, _: Any, arguments: Arguments) -> Any:
    return context.shop.record.jobs.get(arguments["id"])


def _metafield(_: Context, source: Draft | Order, arguments: Arguments) -> Any:
    namespace = namespace_of(arguments.get("namespace"))
    for metafield in source.metafields:
        if (metafield.namespace, metafield.key) == (namespace, arguments["key"]):
            return metafield
    return None


def _fulfillment_lines(context: Context, source: Fulfillment, arguments: Arguments) -> dict[str, Any]:
    lines = {line.id: line for line in context.shop.orders[source.order_id].lines}
    entries = [
        {"id": source.line_ids[line_id], "quantity": quantity, "lineItem": lines[line_id]}
        for line_id, quantity in source.units.items()
    ]
    return connection(entries, arguments)


def _tracking(_: Context, source: Fulfillment, arguments: Arguments) -> list[dict[str, Any]]:
    if not source.numbers:
        return [{"company": source.company, "number": None, "url": None}] if source.company else []
    entries = [
        {
            "company": source.company,
            "number": number,
            "url": source.urls[place] if place < len(source.urls) else None,
        }
        for place, number in enumerate(source.numbers)
    ]
    return entries[: arguments.get("first")]


def _quantities(_: Context, source: dict[str, Any], arguments: Arguments) -> list[dict[str, Any]]:
    variant: Variant = source["_variant"]
    known = {name: getattr(variant, name) for name in ("available", "on_hand", "committed", "reserved")}
    return [
        {"name": name, "quantity": known.get(name, 0), "updatedAt": variant.updated_at}
        for name in arguments["names"]
    ]


def _suggested_refund(context: Context, source: Order, arguments: Arguments) -> dict[str, Any]:
    prices = {line.id: line.discounted_unit_price_after_all_discounts_set for line in source.lines}
    asked = arguments.get("refundLineItems") or ()
    amount = sum((prices.get(entry["lineItemId"], ZERO) * entry["quantity"] for entry in asked), ZERO)
    amount = min(amount + Decimal(arguments.get("shippingAmount") or 0), source.net_payment_set)
    sale = next((t for t in source.transactions if t.kind == "SALE"), None)
    return {
        "amountSet": _bag(context, amount, source.currency),
        "maximumRefundableSet": _bag(context, source.net_payment_set, source.currency),
        "suggestedTransactions": [
            {
                "kind": "SUGGESTED_REFUND",
                "gateway": sale.gateway if sale else "manual",
                "formattedGateway": sale.gateway if sale else "manual",
                "amountSet": _bag(context, amount, source.currency),
                "parentTransaction": sale,
            }
        ],
    }


def _bag(context: Context, amount: Decimal, currency: str) -> dict[str, Any]:
    shop = context.shop
    shop_amount = str(round(amount * shop.rate(currency), 2))
    return {
        "presentmentMoney": {"amount": str(amount), "currencyCode": currency},
        "shopMoney": {"amount": shop_amount, "currencyCode": shop.record.currency},
    }


def _price_override(_: Context, source: DraftLine, __: Arguments) -> dict[str, Any] | None:
    if not source.overridden:
        return None
    return {"amount": str(source.unit_price), "currencyCode": source.currency}


def _transactions(_: Context, source: Order, arguments: Arguments) -> list[model.Transaction]:
    return source.transactions[: arguments.get("first")]


def _item_by_id(shop: ShopState, gid: str) -> Any:
    for variant in shop.variants.values():
        if variant.inventory_item_id == gid:
            return {"__typename": "InventoryItem", "id": gid, "_variant": variant} | {
                "sku": variant.sku,
                "tracked": variant.tracked,
                "requiresShipping": variant.requires_shipping,
            }
    return None


def _subscriptions(context: Context, _: Any, arguments: Arguments) -> dict[str, Any]:
    """Only the shop's own: those of the app's configuration are not listed (Shopify contract k)."""
    own = context.shop.record.subscriptions.values()
    topics = arguments.get("topics")
    return connection([s for s in own if not topics or s.topic in topics], arguments, by_id)


def _parent_of(_: Context, source: model.Transaction, __: Arguments) -> dict[str, str] | None:
    return {"id": source.parent_id} if source.parent_id else None


def _ready(context: Context, draft: model.Draft, _: Arguments) -> bool:
    return context.shop.platform.clock.now() >= draft.ready_at


def _draft_total(context: Context, draft: model.Draft, arguments: Arguments) -> Decimal:
    """What is still being computed may be missing in it (Shopify contract b)."""
    computed = _ready(context, draft, arguments) or not context.shop.platform.settings.provisional_totals
    return draft.totals.total if computed else draft.totals.total - draft.totals.shipping


def _shop_order(context: Context, source: Any, __: Arguments) -> Order | None:
    return context.shop.orders.get(source.order_id) if source.order_id else None


def _order_line(context: Context, source: model.RefundLine, __: Arguments) -> Any:
    return next(
        line for order in context.shop.orders.values() for line in order.lines if line.id == source.line_id
    )


FIELDS: dict[tuple[str, str], Callable[[Any, Any, Arguments], Any]] = {
    ("QueryRoot", "draftOrder"): lambda c, _, a: c.shop.drafts.get(typed(a["id"], "DraftOrder")),
    ("QueryRoot", "order"): lambda c, _, a: c.shop.visible_order(typed(a["id"], "Order")),
    ("QueryRoot", "fulfillment"): lambda c, _, a: c.shop.fulfillment(typed(a["id"], "Fulfillment")),
    ("QueryRoot", "product"): lambda c, _, a: c.shop.products.get(typed(a["id"], "Product")),
    ("QueryRoot", "productVariant"): lambda c, _, a: c.shop.variants.get(typed(a["id"], "ProductVariant")),
    ("QueryRoot", "node"): lambda c, _, a: node(c, a["id"]),
    ("QueryRoot", "nodes"): lambda c, _, a: [node(c, gid) for gid in a["ids"]],
    ("QueryRoot", "draftOrders"): _found("draftOrders", "drafts"),
    ("QueryRoot", "orders"): _found("orders", "orders"),
    ("QueryRoot", "productVariants"): _found("productVariants", "variants"),
    ("QueryRoot", "products"): _found("products", "products"),
    ("QueryRoot", "orderByIdentifier"): _order_by_identifier,
    ("QueryRoot", "job"): _job,
    ("QueryRoot", "currentAppInstallation"): _installation,
    ("QueryRoot", "appInstallation"): _installation,
    ("QueryRoot", "shop"): _shop,
    ("QueryRoot", "location"): lambda c, _, __: location(c),
    ("QueryRoot", "locations"): lambda c, _, a: connection([location(c)], a),
    ("QueryRoot", "webhookSubscriptions"): _subscriptions,
    ("QueryRoot", "metafieldDefinitions"): lambda c, _, a: connection(
        [d for d in c.shop.record.definitions if d.owner_type == a["ownerType"]], a, by_id
    ),
    ("QueryRoot", "paymentTermsTemplates"): lambda *_: [{"id": "gid://shopify/PaymentTermsTemplate/1"}],
    ("QueryRoot", "bulkOperation"): lambda *_: None,
    ("QueryRoot", "bulkOperations"): lambda _, __, a: connection([], a),
    ("DraftOrder", "order"): _shop_order,
    ("DraftOrder", "ready"): _ready,
    ("DraftOrder", "totalPriceSet"): _draft_total,
    ("DraftOrder", "warnings"): lambda *_: [],
    ("DraftOrder", "taxLines"): lambda *_: [],
    ("DraftOrder", "metafield"): _metafield,
    ("DraftOrder", "customer"): lambda *_: None,
    ("CalculatedDraftOrder", "warnings"): lambda *_: [],
    ("DraftOrderLineItem", "variant"): lambda c, s, _: c.shop.variants.get(s.variant_id),
    ("DraftOrderLineItem", "product"): lambda c, s, _: c.shop.products.get(s.product_id),
    ("DraftOrderLineItem", "priceOverride"): _price_override,
    ("Order", "metafield"): _metafield,
    ("Order", "cancellation"): lambda _, s, __: {"staffNote": s.staff_note} if s.cancelled_at else None,
    ("Order", "fulfillments"): lambda _, s, a: s.fulfillments[: a.get("first")],
    ("Order", "fulfillmentOrders"): lambda c, s, a: connection([fulfillment_order(c, s)], a),
    ("Order", "transactions"): _transactions,
    ("Order", "refunds"): lambda _, s, a: s.refunds[: a.get("first")],
    ("Order", "returns"): lambda _, __, a: connection([], a),
    ("Order", "suggestedRefund"): _suggested_refund,
    ("Order", "customer"): lambda *_: None,
    ("LineItem", "variant"): lambda c, s, _: c.shop.variants.get(s.variant_id),
    ("LineItem", "product"): lambda c, s, _: c.shop.products.get(s.product_id),
    ("Fulfillment", "fulfillmentLineItems"): _fulfillment_lines,
    ("Fulfillment", "trackingInfo"): _tracking,
    ("Fulfillment", "order"): lambda c, s, _: c.shop.orders[s.order_id],
    ("Fulfillment", "location"): lambda c, *_: location(c),
    ("Fulfillment", "fulfillmentOrders"): lambda c, s, a: connection(
        [fulfillment_order(c, c.shop.orders[s.order_id])], a
    ),
    ("OrderTransaction", "parentTransaction"): _parent_of,
    ("RefundLineItem", "lineItem"): _order_line,
    ("OrderCancelJobResult", "order"): _shop_order,
    ("Product", "variants"): lambda c, s, a: connection([c.shop.variants[v] for v in s.variant_ids], a),
    ("Product", "featuredMedia"): lambda *_: None,
    ("ProductVariant", "product"): lambda c, s, _: c.shop.products[s.product_id],
    ("ProductVariant", "displayName"): lambda c, s, _: f"{c.shop.products[s.product_id].title} - {s.title}",
    ("ProductVariant", "inventoryItem"): lambda c, s, _: inventory_item(c, s),
    ("ProductVariant", "inventoryQuantity"): lambda _, s, __: s.available,
    ("InventoryItem", "inventoryLevels"): lambda c, s, a: connection([inventory_level(c, s["_variant"])], a),
    ("InventoryItem", "variant"): lambda _, s, __: s["_variant"],
    ("InventoryLevel", "quantities"): _quantities,
    ("MetafieldDefinition", "type"): lambda _, s, __: {"name": s.type_name},
    ("WebhookSubscription", "apiVersion"): lambda c, *_: {"handle": c.shop.platform.settings.served_version},
}
