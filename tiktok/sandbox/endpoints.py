"""The operations of TikTok's API: a checked call in, `data` out, or Refused with TikTok's code."""

import base64
import binascii
import heapq
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tiktok.sandbox import carriers
from tiktok.sandbox.actions import Actions
from tiktok.sandbox.orders import (
    ON_HOLD,
    PACKAGE_STATUS,
    UNPAID,
    Order,
    address_view,
    amount,
    order_json,
    payment_json,
)
from tiktok.sandbox.shipping import Refused, Wanted
from tiktok.sandbox.state import SCOPES, App, Cancellation, Code, Grant, Hook, Json, Package, Shop

Handler = Callable[[Actions, "Call"], Json]
HANDLERS: dict[str, Handler] = {}
SCOPE_OF: dict[str, str] = {}
NOT_THIS_SHOPS = Refused(21011028, "The order does not belong to this shop")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed every check. `shop` is None where no cipher is wanted."""

    path: dict[str, str]
    query: dict[str, str]
    body: Json
    app: App
    grant: Grant | None
    shop_id: str


def serves(operation: str, scope: str = "") -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[operation] = handler
        SCOPE_OF[operation] = SCOPES.get(scope, "")
        return handler

    return register


# Tokens (TikTok contract 1.2)


@serves("tokenGet")
def token_get(platform: Actions, call: Call) -> Json:
    app = _app(platform, call)
    code = platform.world.codes.get(call.query["auth_code"])
    if code is None or platform.apps[code.app] is not app:
        raise Refused(36004004, "Invalid auth code")
    _refuse_used_code(platform, code)
    code.used = True
    seller = next(seller for seller in platform.world.sellers if seller.open_id == code.open_id)
    grant = platform.new_grant(seller)
    platform.record("token_granted", app=code.app, open_id=code.open_id)
    return platform.token_data(grant, grant.newest)


@serves("tokenRefresh")
def token_refresh(platform: Actions, call: Call) -> Json:
    """A new pair; the former refresh token works until something of the new pair was used."""
    app = _app(platform, call)
    token = call.query["refresh_token"]
    grant = next(
        (
            grant
            for grant in platform.world.grants.values()
            if platform.apps[grant.app] is app and token in (grant.refresh, grant.former_refresh) and token
        ),
        None,
    )
    if grant is None or grant.revoked:
        raise Refused(36004004, "Invalid refresh token")
    if grant.refresh_expires <= platform.clock.time():
        raise Refused(36004004, "The refresh token has expired")
    grant.former_refresh = token
    access = platform.issue(grant)
    platform.record("token_refreshed", app=grant.app, open_id=grant.open_id)
    return platform.token_data(grant, access)


@serves("getAuthorizedShops", "Shop Authorized Information")
def get_authorized_shops(platform: Actions, call: Call) -> Json:
    return {"shops": platform.shops_json(call.grant) if call.grant else []}


# Webhook addresses (TikTok contract 3.2)


@serves("getShopWebhooks")
def get_webhooks(platform: Actions, call: Call) -> Json:
    found = [
        {
            "event_type": topic,
            "address": hook.address,
            "create_time": hook.create_time,
            "update_time": hook.update_time,
        }
        for (app, shop_id, topic), hook in platform.world.hooks.items()
        if (app, shop_id) == (call.app.name, call.shop_id)
    ]
    return {"webhooks": found, "total_count": len(found)}


@serves("updateShopWebhook")
def update_webhook(platform: Actions, call: Call) -> Json:
    now = int(platform.clock.time() * 1000)
    key = (call.app.name, call.shop_id, call.body["event_type"])
    former = platform.world.hooks.get(key)
    platform.world.hooks[key] = Hook(call.body["address"], former.create_time if former else now, now)
    return {}


@serves("deleteWebhookForAnEvent")
def delete_webhook(platform: Actions, call: Call) -> Json:
    platform.world.hooks.pop((call.app.name, call.shop_id, call.body["event_type"]), None)
    return {}


# Orders (TikTok contract 4)


@serves("getOrderList", "Order Information")
def search_orders(platform: Actions, call: Call) -> Json:
    body = call.body
    found = [order for order in _orders(platform, call) if _wanted(order, body)]
    return _page(call, found, "orders", lambda order: _order_json(platform, order, detail=False))


@serves("getOrderDetail", "Order Information")
def get_orders(platform: Actions, call: Call) -> Json:
    known = [platform.world.orders.get(order_id) for order_id in call.query["ids"].split(",")]
    mine = [order for order in known if order is not None and order.shop_id == call.shop_id]
    return {"orders": [_order_json(platform, order, detail=True) for order in mine]}


@serves("getOrderPriceDetails", "Order Information")
def price_detail(platform: Actions, call: Call) -> Json:
    order = _order(platform, call)
    paid = payment_json(order)
    return {
        "currency": paid["currency"],
        "total": paid["total_amount"],
        "payment": paid["total_amount"],
        "sku_list_price": paid["original_total_product_price"],
        "sku_sale_price": paid["sub_total"],
        "subtotal": paid["sub_total"],
        "subtotal_deduction_seller": paid["seller_discount"],
        "subtotal_deduction_platform": paid["platform_discount"],
        "subtotal_tax_amount": paid["product_tax"],
        "shipping_list_price": paid["original_shipping_fee"],
        "shipping_sale_price": paid["shipping_fee"],
        "shipping_fee_deduction_seller": paid["shipping_fee_seller_discount"],
        "shipping_fee_deduction_platform": paid["shipping_fee_platform_discount"],
        "tax_amount": paid["tax"],
        "line_items": [
            {
                "id": line.id,
                "currency": order.currency,
                "sku_list_price": amount(line.original_price),
                "sku_sale_price": amount(line.sale_price),
                "subtotal": amount(line.sale_price),
                "subtotal_deduction_seller": amount(line.seller_discount),
                "subtotal_deduction_platform": amount(line.platform_discount),
                "subtotal_tax_amount": amount(line.tax),
                "tax_rate": line.tax_rate,
            }
            for line in order.lines
        ],
    }


@serves("addExternalOrderReferences", "Write External Order References")
def set_external_orders(platform: Actions, call: Call) -> Json:
    if len(call.body["orders"]) > 100:
        raise Refused(11050001, "At most 100 orders")
    return {"errors": [error for row in call.body["orders"] if (error := _set_external(platform, call, row))]}


@serves("getExternalOrderReferences", "Order Information")
def get_external_orders(platform: Actions, call: Call) -> Json:
    order = _order(platform, call)
    found = platform.world.external.get((order.id, call.query["platform"]))
    return {"external_orders": [found] if found else []}


@serves("searchOrdersByExternalOrderReference", "Order Information")
def search_external_orders(platform: Actions, call: Call) -> Json:
    found = [
        {"id": order_id, "external_order": reference}
        for (order_id, name), reference in platform.world.external.items()
        if name == call.query["platform"]
        and reference["id"] == call.query["external_order_id"]
        and platform.world.orders[order_id].shop_id == call.shop_id
    ]
    return {"orders": found}


# Fulfilment (TikTok contract 5)


@serves("markPackageAsShipped202309", "Fulfillment Basic")
def ship_202309(platform: Actions, call: Call) -> Json:
    _refuse_retired(platform, "202309")
    body = call.body
    items = [(line_id, "") for line_id in body.get("order_line_item_ids", [])]
    return _ship(platform, call, Wanted(items, body["tracking_number"], body["shipping_provider_id"], []))


@serves("markPackageAsShipped", "Fulfillment Basic")
def ship_202610(platform: Actions, call: Call) -> Json:
    _refuse_retired(platform, "202610")
    items = [
        (row.get("order_line_id", ""), row.get("sub_item_id", ""))
        for row in call.body.get("order_line_list", [])
    ]
    first, more = _shipping_info(call)
    return _ship(
        platform,
        call,
        Wanted(items, first.get("tracking_number", ""), first.get("shipping_provider_id", ""), more),
    )


@serves("updateOrderShippingInfo", "Logistics Basic")
def correct_order(platform: Actions, call: Call) -> Json:
    order = _order(platform, call)
    if not order.package_ids:
        raise Refused(21011043, "The order was not shipped yet")
    if order.split:
        raise Refused(21011048, "The order has several packages: update the package")
    package = platform.world.packages[order.package_ids[0]]
    platform.correct(package, call.body["tracking_number"], call.body["shipping_provider_id"])
    return {}


@serves("updatePackageShippingInfo202309", "Fulfillment Basic")
def correct_package_202309(platform: Actions, call: Call) -> Json:
    platform.correct(
        _package(platform, call), call.body["tracking_number"], call.body["shipping_provider_id"]
    )
    return {}


@serves("updatePackageShippingInfo", "Fulfillment Basic")
def correct_package_202610(platform: Actions, call: Call) -> Json:
    first, more = _shipping_info(call)
    if more and not platform.settings.several_numbers:
        raise Refused(21011022, "Several tracking numbers are not allowed for this seller")
    number, provider_id = first.get("tracking_number", ""), first.get("shipping_provider_id", "")
    platform.correct(_package(platform, call), number, provider_id)
    return {}


@serves("getOrderTracking", "Fulfillment Basic")
def order_tracking(platform: Actions, call: Call) -> Json:
    return {"tracking": [event for order in [_order(platform, call)] for event in _track(order)]}


@serves("getLogisticsTracking", "Logistics Basic")
def logistics_tracking(platform: Actions, call: Call) -> Json:
    order = _order(platform, call)
    details = []
    for package_id in order.package_ids:
        package = platform.world.packages[package_id]
        names = {"tracking_no": package.number, "action_code_name": order.status}
        details.append(
            {
                "newest_tracking_no": package.number,
                "carrier_name": package.provider_name,
                "track_list": [event | names for event in _track(order)],
            }
        )
    return {"order_id": order.id, "logistics_details": details}


@serves("searchPackage", "Fulfillment Basic")
def search_packages(platform: Actions, call: Call) -> Json:
    wanted = call.body.get("package_status")
    found = [
        package
        for package in platform.world.packages.values()
        if package.shop_id == call.shop_id
        and wanted in (None, _package_status(platform, package))
        and _within(package.shipped_at, call.body, "create_time")
        and _within(package.update_time, call.body, "update_time")
    ]
    return _page(call, found, "packages", lambda package: _package_brief(platform, package))


@serves("getPackageDetail", "Fulfillment Basic")
def get_package(platform: Actions, call: Call) -> Json:
    package = _package(platform, call)
    order = platform.world.orders[package.order_ids[0]]
    address = address_view(order, platform.settings.hold_address, platform.clock.seconds()) or {}
    brief = _package_brief(platform, package)
    combined = len(package.order_ids) > 1
    tag = "COMBINE" if combined else "SPLIT" if len(order.package_ids) > 1 else "DEFAULT"
    shown = (
        "full_address phone_number name postal_code address_detail region_code address_line1 address_line2"
        " address_line3 address_line4"
    )
    return {
        "package_id": package.id,
        "package_status": brief.pop("status"),
        "split_and_combine_tag": tag,
        "shipping_type": order.shipping_type,
        "delivery_option_id": order.delivery_option_id,
        "recipient_address": {key: address[key] for key in shown.split() if key in address},
        "warehouse_id": order.warehouse_id,
    } | {key: value for key, value in brief.items() if key != "id"}


# Logistics (TikTok contract 5.3, 7)


@serves("getShippingProviders", "Fulfillment Basic")
def get_providers(platform: Actions, call: Call) -> Json:
    shop = platform.world.shop(call.shop_id)
    option = call.path["delivery_option_id"]
    if option == shop.tiktok_delivery_option_id:
        raise Refused(21008117, "The delivery option is fulfilled by TikTok")
    if option != shop.delivery_option_id:
        raise Refused(21008116, "The delivery option is not subscribed")
    hidden = platform.settings.unavailable_providers
    known = [provider for provider in carriers.providers(shop.market) if provider.name not in hidden]
    return {"shipping_providers": [{"id": provider.id, "name": provider.name} for provider in known]}


@serves("getWarehouseList", "Logistics Basic")
def get_warehouses(platform: Actions, call: Call) -> Json:
    shop = platform.world.shop(call.shop_id)
    return {
        "warehouses": [_warehouse(shop, "SALES_WAREHOUSE", "0"), _warehouse(shop, "RETURN_WAREHOUSE", "1")]
    }


@serves("getWarehouseDeliveryOptions", "Logistics Basic")
def get_delivery_options(platform: Actions, call: Call) -> Json:
    shop = platform.world.shop(call.shop_id)
    if call.path["warehouse_id"] != shop.warehouse_id:
        raise Refused(21001001, "Unknown warehouse")
    own = {"id": shop.delivery_option_id, "name": "Shipped by seller", "type": "SEND_BY_SELLER"}
    tiktok = {"id": shop.tiktok_delivery_option_id, "name": "Standard shipping", "type": "STANDARD"}
    return {"delivery_options": [option | {"platform": ["TIKTOK_SHOP"]} for option in (own, tiktok)]}


# Products (TikTok contract 7)


@serves("searchProducts", "Product Basic")
def search_products(platform: Actions, call: Call) -> Json:
    shop = platform.world.shop(call.shop_id)
    body = call.body
    if body.get("status", "ALL") not in ("ALL", "ACTIVATE"):
        return {"total_count": 0, "products": [], "next_page_token": ""}
    products: dict[str, list[Any]] = {}
    for sku in shop.skus.values():
        if sku.seller_sku in body.get("seller_skus", [sku.seller_sku]) and sku.sku_id in body.get(
            "sku_ids", [sku.sku_id]
        ):
            products.setdefault(sku.product_id, []).append(sku)
    return _page(call, list(products.values()), "products", lambda skus: _product(platform, shop, skus))


# Cancellations (TikTok contract 6.1)


@serves("searchCancellations", "Return & Refund Basic")
def search_cancellations(platform: Actions, call: Call) -> Json:
    body = call.body
    found = [
        record
        for record in platform.world.cancellations.values()
        if record.shop_id == call.shop_id
        and record.id in body.get("cancel_ids", [record.id])
        and record.order_id in body.get("order_ids", [record.order_id])
        and record.type in body.get("cancel_types", [record.type])
        and f"CANCELLATION_REQUEST_{record.status}"
        in body.get("cancel_status", [f"CANCELLATION_REQUEST_{record.status}"])
        and _within(record.create_time, body, "create_time")
        and _within(record.update_time, body, "update_time")
    ]
    return _page(call, found, "cancellations", lambda record: _cancellation(platform, record))


# Inside


def _app(platform: Actions, call: Call) -> App:
    for app in platform.apps.values():
        if (app.app_key, app.app_secret) == (call.query["app_key"], call.query["app_secret"]):
            return app
    raise Refused(36009004, "Invalid app key or secret")


def _refuse_used_code(platform: Actions, code: Code) -> None:
    if code.used:
        raise Refused(36004004, "The auth code was used already")
    if code.expires <= platform.clock.time():
        raise Refused(36004004, "The auth code has expired")


def _orders(platform: Actions, call: Call) -> list[Order]:
    return [order for order in platform.world.orders.values() if order.shop_id == call.shop_id]


def _order(platform: Actions, call: Call) -> Order:
    order = platform.world.orders.get(call.path["order_id"])
    if order is None or order.shop_id != call.shop_id:
        raise NOT_THIS_SHOPS
    return order


def _package(platform: Actions, call: Call) -> Package:
    package = platform.world.packages.get(call.path["package_id"])
    if package is None or package.shop_id != call.shop_id:
        raise Refused(21008111, "The package does not belong to this shop")
    return package


def _order_json(platform: Actions, order: Order, *, detail: bool) -> Json:
    return order_json(
        order,
        style=platform.settings.hold_address,
        now=platform.clock.seconds(),
        detail=detail,
        numbers_on_lines=platform.settings.numbers_on_lines,
    )


def _wanted(order: Order, body: Json) -> bool:
    """Every given filter must hold; what is not asked for is not even looked at."""
    return (
        _within(order.update_time, body, "update_time")
        and _within(order.create_time, body, "create_time")
        and ("order_status" not in body or order.status == body["order_status"])
        and ("shipping_type" not in body or order.shipping_type == body["shipping_type"])
        and ("buyer_user_id" not in body or order.buyer.user_id == body["buyer_user_id"])
        and (
            "is_buyer_request_cancel" not in body or order.cancel_requested is body["is_buyer_request_cancel"]
        )
        and ("warehouse_ids" not in body or order.warehouse_id in body["warehouse_ids"])
    )


def _within(value: int, body: Json, field: str) -> bool:
    end: int = body.get(f"{field}_lt", value + 1)
    start: int = body.get(f"{field}_ge", value)
    return start <= value < end


def _page(call: Call, rows: list[Any], name: str, show: Callable[[Any], Json]) -> Json:
    """One page after the last row of the former one, so that rows may move between pages."""
    field = call.query.get("sort_field", "create_time")
    descending = call.query.get("sort_order", "DESC") == "DESC"
    size = int(call.query.get("page_size", 20 if name == "orders" else 10))

    def place(row: Any) -> tuple[int, str]:
        return (_sort_value(row, field), _row_id(row))

    left = rows
    if token := call.query.get("page_token"):
        last = _read_token(token)
        left = [row for row in rows if (place(row) < last if descending else place(row) > last)]
    first = heapq.nlargest if descending else heapq.nsmallest
    page = first(size + 1, left, key=place)
    more = len(page) > size
    page = page[:size]
    return {
        name: [show(row) for row in page],
        "next_page_token": _token(place(page[-1])) if more else "",
        "total_count": len(rows),
    }


def _sort_value(row: Any, field: str) -> int:
    if isinstance(row, list):
        return 0
    if isinstance(row, Package) and field != "update_time":
        return row.shipped_at
    value: int = getattr(row, field)
    return value


def _row_id(row: Any) -> str:
    return str(row[0].product_id if isinstance(row, list) else row.id)


def _token(last: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        value, row_id = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        raise Refused(36009004, "Invalid parameter page_token") from None
    return int(value), str(row_id)


def _set_external(platform: Actions, call: Call, row: Json) -> Json | None:
    reference = row["external_order"]
    order = platform.world.orders.get(row["id"])
    problem = ""
    if order is None or order.shop_id != call.shop_id:
        problem = "The order does not belong to this shop"
    elif len(reference["line_items"]) > 100:
        problem = "At most 100 lines"
    elif {item["origin_id"] for item in reference["line_items"]} - {line.id for line in order.lines}:
        problem = "origin_id is not a line of the order"
    if problem:
        brief = {"id": reference["id"], "platform": reference["platform"]}
        return {
            "code": "11050001",
            "message": problem,
            "detail": {"order_id": row["id"], "external_order": brief},
        }
    platform.world.external[row["id"], reference["platform"]] = reference
    platform.record(
        "external_order",
        order_id=row["id"],
        shop_id=call.shop_id,
        external_id=reference["id"],
        platform=reference["platform"],
        line_items=reference["line_items"],
    )
    return None


def _refuse_retired(platform: Actions, version: str) -> None:
    if version in platform.settings.retired_ship_versions:
        raise Refused(36009014, "This version of the API is retired")


def _shipping_info(call: Call) -> tuple[Json, list[Json]]:
    rows = call.body.get("shipping_info_list", [])
    if not rows:
        raise Refused(21011022, "Invalid tracking number or shipping provider")
    return rows[0], rows[1:]


def _ship(platform: Actions, call: Call, wanted: Wanted) -> Json:
    order = _order(platform, call)
    package, line_ids, warning = platform.ship(order, wanted)
    data: Json = {"order_id": order.id, "order_line_item_ids": line_ids, "package_id": package.id}
    return data | ({"warning": {"message": warning}} if warning else {})


def _track(order: Order) -> Iterable[Json]:
    """Newest first; times in milliseconds."""
    moments = (
        (order.delivery_time, "Delivered", 3),
        (order.collection_time, "Picked up by the carrier", 2),
        (order.rts_time, "The seller has shipped the package", 1),
    )
    for at, words, code in moments:
        if at:
            yield {"description": words, "update_time_millis": at * 1000, "action_code": code}


def _package_status(platform: Actions, package: Package) -> str:
    return PACKAGE_STATUS.get(platform.world.orders[package.order_ids[0]].status, "PROCESSING")


def _package_brief(platform: Actions, package: Package) -> Json:
    orders = []
    for order_id in package.order_ids:
        counts: dict[str, Json] = {}
        for line in platform.world.orders[order_id].lines:
            if line.package_id == package.id:
                shown = {
                    "id": line.sku.sku_id,
                    "name": line.sku.sku_name,
                    "image_url": line.sku.image,
                    "quantity": 0,
                }
                counts.setdefault(line.sku.sku_id, shown)["quantity"] += 1
        orders.append({"id": order_id, "skus": list(counts.values())})
    return {
        "id": package.id,
        "orders": orders,
        "create_time": package.shipped_at,
        "update_time": package.update_time,
        "status": _package_status(platform, package),
        "tracking_number": package.number,
        "shipping_provider_name": package.provider_name,
        "shipping_provider_id": package.provider_id,
        "order_line_item_ids": package.line_ids,
    }


def _warehouse(shop: Shop, kind: str, suffix: str) -> Json:
    us = shop.region == "US"
    return {
        "id": shop.warehouse_id if suffix == "0" else shop.warehouse_id[:-1] + suffix,
        "entity_id": shop.warehouse_id[:-1] + "9",
        "name": f"{shop.name} {'stock' if suffix == '0' else 'returns'}",
        "effect_status": "ENABLED",
        "type": kind,
        "sub_type": "DOMESTIC_WAREHOUSE",
        "is_default": suffix == "0",
        "address": {
            "region": "United States" if us else "United Kingdom",
            "state": "Ohio" if us else "England",
            "city": "Columbus" if us else "Leeds",
            "distict": "Franklin" if us else "",
            "postal_code": "43004" if us else "LS9 0PX",
            "region_code": shop.region,
        },
    }


def _product(platform: Actions, shop: Shop, skus: list[Any]) -> Json:
    return {
        "id": skus[0].product_id,
        "title": skus[0].product_name,
        "status": "ACTIVATE",
        "create_time": platform.world.born - 86_400,
        "update_time": platform.world.born - 3600,
        "sales_regions": [shop.region],
        "skus": [
            {
                "id": sku.sku_id,
                "seller_sku": sku.seller_sku,
                "price": {
                    "currency": shop.currency,
                    "tax_exclusive_price": amount(sku.price),
                    "sale_price": amount(sku.price),
                },
                "inventory": [{"warehouse_id": shop.warehouse_id, "quantity": 250}],
                "status_info": {"status": "NORMAL"},
            }
            for sku in skus
        ],
    }


def _cancellation(platform: Actions, record: Cancellation) -> Json:
    order = platform.world.orders[record.order_id]
    lines = [line for line in order.lines if line.id in record.line_ids]
    shown: Json = {
        "cancel_id": record.id,
        "order_id": record.order_id,
        "cancel_type": record.type,
        "cancel_status": f"CANCELLATION_REQUEST_{record.status}",
        "role": record.role,
        "cancel_reason": record.reason,
        "cancel_reason_text": record.reason_text,
        "create_time": record.create_time,
        "update_time": record.update_time,
        "should_replenish_stock": order.status not in (UNPAID, ON_HOLD),
        "cancel_line_items": [
            {
                "cancel_line_item_id": f"{record.id}{index:02d}",
                "order_line_item_id": line.id,
                "sku_id": line.sku.sku_id,
                "sku_name": line.sku.sku_name,
                "product_name": line.sku.product_name,
                "seller_sku": line.sku.seller_sku,
                "refund_amount": {
                    "currency": order.currency,
                    "refund_total": amount(line.sale_price + line.tax),
                    "refund_subtotal": amount(line.sale_price),
                    "refund_tax": amount(line.tax),
                },
            }
            for index, line in enumerate(lines)
        ],
    }
    if record.status == "PENDING":
        answer = {"action": "SELLER_RESPOND_BUYER_CANCEL", "deadline": record.deadline}
        shown["seller_next_action_response"] = [answer]
    return shown
