"""Every call we make, with its version: the one table to change when TikTok retires one.

See TikTok contract 1.5.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`writes` = it changes something at TikTok; `for_shop` = it wants the shop's cipher."""

    method: str
    path: str
    writes: bool = False
    for_shop: bool = True


TOKEN_GET = Endpoint("GET", "/api/v2/token/get", writes=True, for_shop=False)
TOKEN_REFRESH = Endpoint("GET", "/api/v2/token/refresh", writes=True, for_shop=False)
SHOPS = Endpoint("GET", "/authorization/202309/shops", for_shop=False)

ORDERS_SEARCH = Endpoint("POST", "/order/202309/orders/search")
ORDERS = Endpoint("GET", "/order/202507/orders")
EXTERNAL_ORDERS_ADD = Endpoint("POST", "/order/202406/orders/external_orders", writes=True)
EXTERNAL_ORDERS = Endpoint("GET", "/order/202406/orders/{order_id}/external_orders")

# Two versions are in use and nobody knows yet which one a new app gets (TikTok contract 12.1).
SHIP = {
    "202309": Endpoint("POST", "/fulfillment/202309/orders/{order_id}/packages", writes=True),
    "202610": Endpoint("POST", "/fulfillment/202610/orders/{order_id}/packages", writes=True),
}
PACKAGE_SHIPPING_INFO = {
    "202309": Endpoint("POST", "/fulfillment/202309/packages/{package_id}/shipping_info/update", writes=True),
    "202610": Endpoint("POST", "/fulfillment/202610/packages/{package_id}/shipping_info/update", writes=True),
}
OTHER_SHIP_VERSION = {"202309": "202610", "202610": "202309"}
ORDER_SHIPPING_INFO = Endpoint(
    "POST", "/fulfillment/202309/orders/{order_id}/shipping_info/update", writes=True
)

PROVIDERS = Endpoint("GET", "/logistics/202309/delivery_options/{delivery_option_id}/shipping_providers")
TRACKING = Endpoint("GET", "/logistics/202604/orders/{order_id}/tracking")
WAREHOUSES = Endpoint("GET", "/logistics/202309/warehouses")
DELIVERY_OPTIONS = Endpoint("GET", "/logistics/202309/warehouses/{warehouse_id}/delivery_options")

WEBHOOKS = Endpoint("GET", "/event/202309/webhooks")
WEBHOOK_SET = Endpoint("PUT", "/event/202309/webhooks", writes=True)
WEBHOOK_DELETE = Endpoint("DELETE", "/event/202309/webhooks", writes=True)

PRODUCTS_SEARCH = Endpoint("POST", "/product/202502/products/search")
CANCELLATIONS_SEARCH = Endpoint("POST", "/return_refund/202602/cancellations/search")
