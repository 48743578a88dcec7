"""TikTok Shop's Partner API: one short method per call, one way out, and `decipher` for every way back."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import orjson
import requests
from django.conf import settings
from django.utils import timezone
from urllib3.exceptions import NewConnectionError

from tiktok import budget, endpoints, errors, signing
from tiktok.endpoints import Endpoint
from tiktok.errors import AccessLost, Busy, Rejected, TikTokError, TokenExpired, Unavailable, WrongShop
from tiktok.fields import Raw, count, part, parts, text
from tiktok.orders import Order, OrderPage
from tiktok.records import (
    AuthorizedShop,
    Cancellation,
    CancellationPage,
    DeliveryOption,
    ExternalOrder,
    ExternalOrderError,
    Product,
    ProductPage,
    Provider,
    Shipped,
    Tracking,
    TrackingEvent,
    Warehouse,
    Webhook,
)

if TYPE_CHECKING:
    from tiktok.models import Shop

T = TypeVar("T")
Body = dict[str, Any]

log = logging.getLogger("tiktok")

CONTENT_TYPE = "application/json"
ORDERS_PER_CALL = 50
PLATFORM = "SHOPIFY"
BUSY_SECONDS = 1.0  # TikTok throttled us and named no time
RETRY_AFTER_MAX = 3600.0


def get_shops(app: str, access_token: str, http: requests.Session | None = None) -> list[AuthorizedShop]:
    """The shops that a fresh token of this registration ("US" or "ROW") opens."""
    data = call(app, endpoints.SHOPS, access_token, http or requests.Session())
    return [AuthorizedShop.from_api(raw) for raw in parts(data, "shops")]


class Client:
    """The calls of one TikTok shop.

    `live=False` marks back-fill: it leaves the last fifth of the shop's budget to live work. Every method
    raises Unavailable (Busy when the budget is spent), Rejected, or AccessLost when the seller's grant does
    not reach.
    """

    def __init__(self, shop: "Shop", http: requests.Session | None = None, live: bool = True) -> None:
        self.shop = shop
        self.http = http or requests.Session()
        self.live = live

    def get_order(self, order_id: str) -> Order | None:
        """The order, or None when TikTok does not know it in this shop."""
        return next((order for order in self.get_orders([order_id]) if order.id == order_id), None)

    def get_orders(self, ids: Iterable[str]) -> list[Order]:
        """The orders of these ids that exist, in TikTok's order; any number of ids, 50 a call."""
        wanted = list(dict.fromkeys(ids))
        found = []
        for start in range(0, len(wanted), ORDERS_PER_CALL):
            some = ",".join(wanted[start : start + ORDERS_PER_CALL])
            data = self._call(endpoints.ORDERS, params={"ids": some})
            found += [Order.from_api(raw) for raw in parts(data, "orders")]
        return found

    def search_orders(
        self,
        update_from: datetime | None,
        update_to: datetime | None = None,
        page_token: str = "",
        page_size: int = 100,
        status: str = "",
    ) -> OrderPage:
        """One page of the orders updated in the window, oldest update first.

        Data moves during a search: overlap the windows (TikTok contract 4.1).
        """
        data = self._call(
            endpoints.ORDERS_SEARCH,
            params={"sort_field": "update_time", "sort_order": "ASC", **page(page_token, page_size)},
            body=present(
                update_time_ge=floor(update_from), update_time_lt=ceil(update_to), order_status=status
            ),
        )
        orders = tuple(Order.from_api(raw) for raw in parts(data, "orders"))
        return OrderPage(orders, text(data, "next_page_token"), count(data, "total_count"))

    def search_cancel_requests(self, page_size: int = 100) -> OrderPage:
        """One page of the orders that a buyer asks to cancel, the last changed first: a request is no change of status,
        so that no window of update times has it (TikTok contract 4.3)."""
        data = self._call(
            endpoints.ORDERS_SEARCH,
            params={"sort_field": "update_time", "sort_order": "DESC", **page("", page_size)},
            body={"is_buyer_request_cancel": True},
        )
        orders = tuple(Order.from_api(raw) for raw in parts(data, "orders"))
        return OrderPage(orders, text(data, "next_page_token"), count(data, "total_count"))

    def search_orders_placed(
        self, since: datetime, until: datetime, page_token: str = "", page_size: int = 100
    ) -> OrderPage:
        """One page of the orders placed in the window, whatever became of them, oldest first."""
        data = self._call(
            endpoints.ORDERS_SEARCH,
            params={"sort_field": "create_time", "sort_order": "ASC", **page(page_token, page_size)},
            body={"create_time_ge": floor(since), "create_time_lt": ceil(until)},
        )
        orders = tuple(Order.from_api(raw) for raw in parts(data, "orders"))
        return OrderPage(orders, text(data, "next_page_token"), count(data, "total_count"))

    def ship(self, order_id: str, line_ids: Sequence[str], numbers: Sequence[Tracking]) -> Shipped:
        """Hand the lines (none named: all) over as one package.

        Not safe to repeat: after Unavailable read the order first. Only version 202610 takes more than one
        number; `Shipped.numbers` says which ones TikTok was given.
        """

        def attempt(version: str) -> Shipped:
            body, sent = SHIP_BODIES[version](line_ids, numbers)
            data = self._call(endpoints.SHIP[version], ids={"order_id": order_id}, body=body)
            return Shipped(text(data, "package_id"), text(part(data, "warning"), "message"), sent)

        return in_living_version(attempt)

    def correct_tracking(
        self, order_id: str, package_id: str, several_packages: bool, tracking: Tracking
    ) -> None:
        """Replace the number of a shipped package: once, within 72 hours (TikTok contract 5.2)."""
        if not several_packages:
            body = shipping_info(tracking)
            self._call(endpoints.ORDER_SHIPPING_INFO, ids={"order_id": order_id}, body=body)
            return

        def attempt(version: str) -> None:
            body = CORRECTION_BODIES[version](tracking)
            self._call(endpoints.PACKAGE_SHIPPING_INFO[version], ids={"package_id": package_id}, body=body)

        in_living_version(attempt)

    def get_providers(
        self, delivery_option_id: str, warehouse_region: str = "", buyer_region: str = ""
    ) -> list[Provider]:
        """The carriers TikTok takes for a delivery option. The EU wants both regions."""
        data = self._call(
            endpoints.PROVIDERS,
            ids={"delivery_option_id": delivery_option_id},
            params=present(warehouse_region=warehouse_region, buyer_region=buyer_region),
        )
        return [Provider.from_api(raw) for raw in parts(data, "shipping_providers")]

    def get_tracking(self, order_id: str) -> list[TrackingEvent]:
        """Every scan TikTok has seen, parcel by parcel."""
        data = self._call(endpoints.TRACKING, ids={"order_id": order_id})
        return [
            TrackingEvent.from_api(raw, parcel)
            for parcel in parts(data, "logistics_details")
            for raw in parts(parcel, "track_list")
        ]

    def get_warehouses(self) -> list[Warehouse]:
        data = self._call(endpoints.WAREHOUSES)
        return [Warehouse.from_api(raw) for raw in parts(data, "warehouses")]

    def get_delivery_options(self, warehouse_id: str) -> list[DeliveryOption]:
        """How parcels may leave a warehouse."""
        data = self._call(endpoints.DELIVERY_OPTIONS, ids={"warehouse_id": warehouse_id})
        return [DeliveryOption.from_api(raw) for raw in parts(data, "delivery_options")]

    def set_external_orders(self, orders: Sequence[ExternalOrder]) -> list[ExternalOrderError]:
        """Attach Shopify orders to TikTok orders, at most 100 a call. Returns those that TikTok refused."""
        body = {"orders": [order.to_api(PLATFORM) for order in orders]}
        data = self._call(endpoints.EXTERNAL_ORDERS_ADD, body=body)
        return [ExternalOrderError.from_api(raw) for raw in parts(data, "errors")]

    def get_external_orders(self, order_id: str) -> list[ExternalOrder]:
        """The Shopify orders attached to a TikTok order."""
        data = self._call(
            endpoints.EXTERNAL_ORDERS, ids={"order_id": order_id}, params={"platform": PLATFORM}
        )
        return [ExternalOrder.from_api(raw, order_id) for raw in parts(data, "external_orders")]

    def set_webhook(self, topic: str, address: str) -> None:
        """Send a topic of this shop to an https address without a port."""
        self._call(endpoints.WEBHOOK_SET, body={"address": address, "event_type": topic})

    def get_webhooks(self) -> list[Webhook]:
        return [Webhook.from_api(raw) for raw in parts(self._call(endpoints.WEBHOOKS), "webhooks")]

    def delete_webhook(self, topic: str) -> None:
        """Stop sending a topic. Succeeds when nothing was set."""
        self._call(endpoints.WEBHOOK_DELETE, body={"event_type": topic})

    def search_products(
        self,
        page_token: str = "",
        page_size: int = 100,
        status: str = "ALL",
        seller_skus: Sequence[str] = (),
        updated_from: datetime | None = None,
    ) -> ProductPage:
        """One page of products. More than 10,000 hits are refused: narrow by time (TikTok contract 7)."""
        data = self._call(
            endpoints.PRODUCTS_SEARCH,
            params=page(page_token, page_size),
            body=present(status=status, seller_skus=list(seller_skus), update_time_ge=floor(updated_from)),
        )
        products = tuple(Product.from_api(raw) for raw in parts(data, "products"))
        return ProductPage(products, text(data, "next_page_token"), count(data, "total_count"))

    def search_cancellations(
        self,
        order_ids: Sequence[str] = (),
        cancel_ids: Sequence[str] = (),
        update_from: datetime | None = None,
        page_token: str = "",
        page_size: int = 50,
    ) -> CancellationPage:
        """One page of cancel requests, oldest update first."""
        data = self._call(
            endpoints.CANCELLATIONS_SEARCH,
            params={"sort_field": "update_time", "sort_order": "ASC", **page(page_token, page_size)},
            body=present(
                order_ids=list(order_ids), cancel_ids=list(cancel_ids), update_time_ge=floor(update_from)
            ),
        )
        found = tuple(Cancellation.from_api(raw) for raw in parts(data, "cancellations"))
        return CancellationPage(found, text(data, "next_page_token"), count(data, "total_count"))

    def _call(
        self,
        endpoint: Endpoint,
        *,
        ids: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Raw:
        """One call; a cipher that TikTok does not take is fetched once and the call repeated once."""
        wanted = {"ids": ids, "params": params, "body": body}
        try:
            return self._call_with_token(endpoint, **wanted)
        except WrongShop as refused:
            if not self._renew_cipher():
                raise refused from None
        return self._call_with_token(endpoint, **wanted)

    def _renew_cipher(self) -> bool:
        """Whether the shop has another cipher now. A consent makes new ones, and may have happened elsewhere."""

        def fetch() -> list[AuthorizedShop]:
            seller = self.shop.seller
            return get_shops(seller.app, seller.access_token(self.http), self.http)

        try:
            return self.shop.renew_cipher(fetch)
        except Rejected:
            return False

    def _call_with_token(self, endpoint: Endpoint, **wanted: Any) -> Raw:
        """One call; a token that TikTok does not take is refreshed once and the call repeated once."""

        def attempt(token: str) -> Raw:
            budget.spend(self.shop.shop_id, endpoint, live=self.live)
            try:
                return call(seller.app, endpoint, token, self.http, cipher=self.shop.cipher, **wanted)
            except Busy as busy:
                budget.shrink(self.shop.shop_id, endpoint, busy.retry_after)
                raise

        seller = self.shop.seller
        token = seller.access_token(self.http)
        try:
            return attempt(token)
        except TokenExpired:
            token = seller.access_token(self.http, refused=token)
        return attempt(token)


def in_living_version(attempt: Callable[[str], T]) -> T:
    """Call in the configured version, and in the other one when TikTok has retired it."""
    version = settings.TIKTOK_SHIP_VERSION
    try:
        return attempt(version)
    except Rejected as error:
        if error.code != errors.VERSION_RETIRED:
            raise
    return attempt(endpoints.OTHER_SHIP_VERSION[version])


def ship_202309(line_ids: Sequence[str], numbers: Sequence[Tracking]) -> tuple[Body, tuple[str, ...]]:
    first = numbers[0]
    return {**present(order_line_item_ids=list(line_ids)), **shipping_info(first)}, (first.number,)


def ship_202610(line_ids: Sequence[str], numbers: Sequence[Tracking]) -> tuple[Body, tuple[str, ...]]:
    body = present(
        order_line_list=[{"order_line_id": line_id} for line_id in line_ids],
        shipping_info_list=[shipping_info(tracking) for tracking in numbers],
    )
    return body, tuple(tracking.number for tracking in numbers)


def correction_202610(tracking: Tracking) -> Body:
    return {"shipping_info_list": [shipping_info(tracking)]}


def shipping_info(tracking: Tracking) -> Body:
    return {"tracking_number": tracking.number, "shipping_provider_id": tracking.provider_id}


SHIP_BODIES = {"202309": ship_202309, "202610": ship_202610}
CORRECTION_BODIES = {"202309": shipping_info, "202610": correction_202610}


def call(
    app: str,
    endpoint: Endpoint,
    token: str,
    http: requests.Session,
    *,
    cipher: str = "",
    ids: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    body: Body | None = None,
) -> Raw:
    """Sign and send one call of a registration and return the answer's `data`."""
    registration = get_registration(app)
    path = endpoint.path.format(**{name: quote(value, safe="") for name, value in (ids or {}).items()})
    content = b"" if body is None else orjson.dumps(body)
    query = {
        **(params or {}),
        "app_key": registration["app_key"],
        "timestamp": str(int(timezone.now().timestamp())),
        **({"shop_cipher": cipher} if endpoint.for_shop else {}),
    }
    query["sign"] = signing.sign(registration["app_secret"], path, query, content, CONTENT_TYPE)
    request = requests.Request(
        endpoint.method,
        f"{registration['api_url']}{path}?{urlencode(query)}",
        headers={"x-tts-access-token": token, "Content-Type": CONTENT_TYPE, "Accept-Encoding": "gzip"},
        data=content or None,
    )
    return exchange(http, request, path, endpoint)


def get_registration(app: str) -> Mapping[str, str]:
    """Keys and addresses of a registration. Without them nothing of its sellers can be reached."""
    try:
        registration: Mapping[str, str] = settings.TIKTOK_APPS[app]
    except KeyError:
        raise AccessLost(f"The settings have no TikTok registration named {app}") from None
    return registration


def exchange(http: requests.Session, request: requests.Request, path: str, endpoint: Endpoint) -> Raw:
    """Send, log without query and URL (both hold secrets), judge."""
    started = time.monotonic()
    reply = send(http, request, path, endpoint)
    envelope = open_envelope(reply.content)
    log.info(
        "tiktok answered",
        extra={
            "method": endpoint.method,
            "path": path,
            "status": reply.status_code,
            "code": envelope.code,
            "request_id": envelope.request_id,
            "ms": round((time.monotonic() - started) * 1000),
        },
    )
    return judge(reply.status_code, reply.headers, envelope, writes=endpoint.writes)


def send(
    http: requests.Session, request: requests.Request, path: str, endpoint: Endpoint
) -> requests.Response:
    """The reply, or Unavailable. Redirects are not followed: they would carry the token away."""
    timeout = (settings.CONNECT_TIMEOUT_SECONDS, settings.CALL_DEADLINE_SECONDS)
    try:
        return http.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.data or None,
            timeout=timeout,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        failure = Unavailable(
            f"{endpoint.method} {path}: {type(error).__name__}",
            may_have_acted=endpoint.writes and not surely_unsent(error),
        )
    # Raised out here: requests' own exception holds the URL, and must not become this one's context.
    log.info("tiktok did not answer", extra={"method": endpoint.method, "path": path})
    raise failure


def surely_unsent(error: requests.RequestException) -> bool:
    """Nobody listened, so nobody acted."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def decipher(status: int, headers: Mapping[str, str], body: bytes, writes: bool = False) -> Raw:
    """The `data` of a good answer ({} when TikTok sent none), or the error that the answer means.

    Judged by TikTok's code first and by the HTTP status only without a known one (TikTok contract 9).
    """
    return judge(status, headers, open_envelope(body), writes=writes)


@dataclass(frozen=True, slots=True)
class Envelope:
    """TikTok's answer around `data`. No code means: this was not TikTok's API."""

    code: str = ""
    message: str = ""
    request_id: str = ""
    data: Raw = field(default_factory=dict)


def open_envelope(body: bytes) -> Envelope:
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Envelope()
    if not isinstance(raw, dict):
        return Envelope()
    return Envelope(text(raw, "code"), text(raw, "message"), text(raw, "request_id"), part(raw, "data"))


def judge(status: int, headers: Mapping[str, str], envelope: Envelope, *, writes: bool) -> Raw:
    code, request_id = envelope.code, envelope.request_id
    if code == "0":
        return envelope.data
    verdict = judge_code(envelope) or judge_status(status, code)
    message = envelope.message or f"HTTP {status}"
    wait = read_retry_after(headers)
    if verdict is Busy:
        raise Busy(message, retry_after=wait or BUSY_SECONDS, code=code, request_id=request_id)
    if verdict is Unavailable:
        raise Unavailable(message, retry_after=wait, code=code, request_id=request_id, may_have_acted=writes)
    raise verdict(message + errors.ADVICE.get(code, ""), code=code or f"HTTP {status}", request_id=request_id)


def judge_code(envelope: Envelope) -> type[TikTokError] | None:
    """What a known code means, or None."""
    if envelope.code == errors.REQUEST_FAULT:
        words = envelope.message.lower().replace("_", " ").replace("-", " ")
        return TokenExpired if "access token" in words else Rejected
    return errors.MEANINGS.get(envelope.code)


def judge_status(status: int, code: str) -> type[TikTokError]:
    """What an answer without a known code means. A good status without a code was cut off on its way."""
    if status == 429:
        return Busy
    if status == 401:
        return TokenExpired
    if status == 408 or status >= 500 or (status < 400 and not code):
        return Unavailable
    return Rejected


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as far as TikTok names a sane number of them."""
    try:
        wait = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return wait if 0 < wait <= RETRY_AFTER_MAX else None


def page(token: str, size: int) -> dict[str, str]:
    return {"page_size": str(size), **({"page_token": token} if token else {})}


def present(**values: Any) -> Body:
    """The fields that say something."""
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def floor(moment: datetime | None) -> int | None:
    return None if moment is None else math.floor(moment.timestamp())


def ceil(moment: datetime | None) -> int | None:
    return None if moment is None else math.ceil(moment.timestamp())
