"""Client: one short method per call to a shop's Admin API; `decipher` beside it reads an answer, pure.

The documents are in operations/, their points beside their names here. Nothing is repeated blindly: a write
whose answer was lost raises Unavailable(may_have_acted=True), and the caller looks before it writes again.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import requests
import urllib3
from django.conf import settings

from .budget import Budget, jitter
from .errors import SCOPE_MISSING, AccessLost, Busy, Rejected, ShopifyError, Unavailable
from .oauth import retry_after
from .orders import (
    CompletedOrder,
    Draft,
    DraftContent,
    DraftLine,
    Fulfillment,
    FulfillmentLine,
    Hit,
    Installation,
    OrderLine,
    OrderState,
    Page,
    PostalAddress,
    TrackingInfo,
    Variant,
    WebhookSubscription,
)

if TYPE_CHECKING:
    from .models import Shop

log = logging.getLogger(__name__)

REFERENCE_KEY = "tiktok_order_id"  # the order metafield of type `id`, declared in shopify.app.toml
SKUS_PER_SEARCH = 50
IDS_PER_READ = 250
LINES_AT_ONCE = 100
STAFF_NOTE_LENGTH = 255
PLAIN_WORDS = re.compile(r"""[^\s:()"'\\*<>=]+""")  # without what means something in a search
ALREADY_CANCELLED = re.compile(r"already (been )?cancell?ed|cancell?ation .*in progress", re.IGNORECASE)
TRANSIENT = re.compile(r"temporarily unavailable|try again|not ready", re.IGNORECASE)
TRANSIENT_CODES = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT"}


OPERATIONS = Path(__file__).parent / "operations"
SPREAD = re.compile(r"\.\.\.(\w+)")  # without the space of an inline fragment: one of operations/fragments


class Operation:
    """A document with the fragments it names, and the points it asks for with its default page size."""

    def __init__(self, name: str, cost: int) -> None:
        self.name = name
        self.cost = cost
        own = (OPERATIONS / f"{name}.graphql").read_text()
        fragments = [(OPERATIONS / "fragments" / f"{one}.graphql").read_text() for one in SPREAD.findall(own)]
        self.text = "".join([own, *fragments])
        self.writes = re.search(r"^mutation\b", self.text, re.MULTILINE) is not None


INSTALLATION = Operation("installation", 4)
VARIANTS_SEARCH = Operation("variants_search", 23)
VARIANTS_BY_ID = Operation("variants_by_id", 3)
DRAFT_CREATE = Operation("draft_create", 10)
DRAFT_GET = Operation("draft_get", 2)
DRAFT_UPDATE = Operation("draft_update", 10)
DRAFT_DELETE = Operation("draft_delete", 10)
DRAFT_COMPLETE = Operation("draft_complete", 21)
DRAFT_COMPLETE_ONE_LINE = Operation("draft_complete_one_line", 14)
DRAFTS_FIND = Operation("drafts_find", 10)
ORDERS_FIND = Operation("orders_find", 6)
ORDERS_UPDATED = Operation("orders_updated", 20)
ORDER_GET = Operation("order_get", 1)
ORDER_LINES = Operation("order_lines", 24)
ORDER_UPDATE = Operation("order_update", 10)
ORDER_CANCEL = Operation("order_cancel", 10)
ORDER_MARK_PAID = Operation("order_mark_paid", 10)
ORDER_PAY_MANUALLY = Operation("order_pay_manually", 10)
PAYMENT_TERMS_TEMPLATES = Operation("payment_terms_templates", 1)
PAYMENT_TERMS_CREATE = Operation("payment_terms_create", 10)
TAGS_ADD = Operation("tags_add", 10)
TAGS_REMOVE = Operation("tags_remove", 10)
FULFILLMENT_GET = Operation("fulfillment_get", 7)
ORDER_FULFILLMENTS = Operation("order_fulfillments", 13)
METAFIELD_DEFINITION_CREATE = Operation("metafield_definition_create", 10)
WEBHOOK_CREATE = Operation("webhook_create", 10)
WEBHOOKS_LIST = Operation("webhooks_list", 9)
WEBHOOK_DELETE = Operation("webhook_delete", 10)


class Client:
    """Speaks to one shop. `live=False` is back-fill, which leaves the last fifth of the shop's points alone.

    Every method may raise Unavailable, Busy, Rejected or AccessLost.
    """

    def __init__(self, shop: "Shop", http: requests.Session | None = None, live: bool = True) -> None:
        self.shop = shop
        self.http = http or requests.Session()
        self.budget = Budget(shop.domain, live=live)

    def installation(self) -> Installation:
        """Who the shop is and what it granted."""
        data = self._call(INSTALLATION, {})
        shop, granted = data["shop"], data["currentAppInstallation"]["accessScopes"]
        return Installation(
            shop_gid=shop["id"],
            name=shop["name"],
            domain=shop["myshopifyDomain"],
            plan=shop["plan"]["publicDisplayName"],
            development=shop["plan"]["partnerDevelopment"],
            currency=shop["currencyCode"],
            currencies=tuple(shop["enabledPresentmentCurrencies"]),
            timezone=shop["ianaTimezone"],
            scopes=tuple(scope["handle"] for scope in granted),
        )

    # Products

    def find_variants(self, skus: Iterable[str]) -> list[Variant]:
        """Every variant that carries exactly one of these SKUs; several may carry the same."""
        wanted = sorted({sku for sku in skus if sku})
        found: list[Variant] = []
        for some in _chunks(wanted, SKUS_PER_SEARCH):
            query = " OR ".join(f"sku:{_quoted(sku)}" for sku in some)
            hits = map(_variant, self._nodes(VARIANTS_SEARCH, {"query": query}, "productVariants"))
            found += [variant for variant in hits if variant.sku in some]
        return found

    def search_variants(self, text: str, limit: int = 50) -> list[Variant]:
        """What a person may mean by these words: one page, by title or SKU."""
        words = [word for part in PLAIN_WORDS.findall(text) if (word := part.lstrip("-"))]
        if not words:
            return []
        query = " ".join(f"{word}*" for word in words)
        page = self._call(VARIANTS_SEARCH, {"query": query, "first": limit})["productVariants"]
        return [_variant(node) for node in page["nodes"]]

    def get_variants(self, ids: Sequence[str]) -> list[Variant]:
        """Variants by id, those that still exist: no search index in between."""
        found: list[Variant] = []
        for some in _chunks(ids, IDS_PER_READ):
            nodes = self._call(VARIANTS_BY_ID, {"ids": list(some)})["nodes"]
            found += [_variant(node) for node in nodes if node and "product" in node]
        return found

    # Drafts

    def create_draft(self, content: DraftContent) -> Draft:
        """The one write that cannot be repeated: after Unavailable(may_have_acted) search for its tag."""
        given = {
            **_amounts(content),
            "tags": list(content.tags),
            "note": content.note,
            "customAttributes": _attributes_in(content.attributes),
            "acceptAutomaticDiscounts": False,
            "allowDiscountCodesInCheckout": False,
            "visibleToCustomer": False,
        }
        if content.reserve_until:
            given["reserveInventoryUntil"] = _time_in(content.reserve_until)
        return _draft(self._write(DRAFT_CREATE, {"input": given})["draftOrder"])

    def get_draft(self, draft_id: str) -> Draft | None:
        """The draft as it is now; None when it was deleted."""
        node = self._call(DRAFT_GET, {"id": draft_id})["draftOrder"]
        return _draft(node) if node else None

    def update_draft(
        self,
        draft_id: str,
        *,
        content: DraftContent | None = None,
        address: PostalAddress | None = None,
        tags: Sequence[str] | None = None,
        note: str | None = None,
        reserve_until: datetime | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Draft:
        """Change what is given, keep the rest. `content` replaces only what makes the total; lists replace."""
        given: dict[str, Any] = _amounts(content) if content else {}
        if address:
            given["shippingAddress"] = given["billingAddress"] = _address_in(address)
        if tags is not None:
            given["tags"] = list(tags)
        if note is not None:
            given["note"] = note
        if reserve_until:
            given["reserveInventoryUntil"] = _time_in(reserve_until)
        if attributes is not None:
            given["customAttributes"] = _attributes_in(attributes)
        return _draft(self._write(DRAFT_UPDATE, {"id": draft_id, "input": given}, address)["draftOrder"])

    def delete_draft(self, draft_id: str) -> bool:
        """Delete the draft. False when it was already gone."""
        try:
            deleted = self._write(DRAFT_DELETE, {"input": {"id": draft_id}})["deletedId"]
        except AccessLost:
            raise
        except Rejected:
            if self.get_draft(draft_id) is None:
                return False
            raise
        return deleted is not None

    def complete_draft(
        self, draft_id: str, lines: int = 0, private: PostalAddress | None = None
    ) -> CompletedOrder:
        """Turn the draft into a paid order, with all its lines; repeating it gives the same order.

        `lines` is how many the draft has, where known: the line of a draft of one comes without attributes.
        `private`, the draft's address, is taken out of any error's words.
        """
        with _without(private):
            return self._complete(draft_id, lines)

    def _complete(self, draft_id: str, lines: int) -> CompletedOrder:
        one_line = lines == 1
        operation = DRAFT_COMPLETE_ONE_LINE if one_line else DRAFT_COMPLETE
        first = {"first": min(lines, LINES_AT_ONCE)} if lines > 1 else {}
        payload = self._call(operation, {"id": draft_id, **first})["draftOrderComplete"]
        order = ((payload or {}).get("draftOrder") or {}).get("order")
        if order is None:
            _refuse_user_errors(payload)
            raise Unavailable("Shopify completed no order", code="no_order", may_have_acted=True)
        return self._completed(order, one_line=one_line)

    def find_drafts(self, tag: str) -> list[Hit]:
        """Drafts that carry exactly this tag. The index lags by seconds: an empty list proves nothing."""
        nodes = self._nodes(DRAFTS_FIND, {"query": f"tag:{_quoted(tag)}"}, "draftOrders")
        return [
            Hit(
                id=node["id"],
                name=node["name"],
                tags=tuple(node["tags"]),
                created_at=_time(node["createdAt"]),
                completed=node["status"] == "COMPLETED",
                cancelled=False,
                order_id=(node["order"] or {}).get("id", ""),
            )
            for node in nodes
            if _has_tag(node, tag)
        ]

    # Orders

    def find_orders(self, tag: str) -> list[Hit]:
        """Orders that carry exactly this tag, of the last 60 days; the index lags as for drafts."""
        nodes = self._nodes(ORDERS_FIND, {"query": f"tag:{_quoted(tag)}"}, "orders")
        return [_order_hit(node) for node in nodes if _has_tag(node, tag)]

    def first_order(self, tag: str, since: datetime) -> Hit | None:
        """The first order since then that carries exactly this tag: one call, however many there are."""
        query = f"tag:{_quoted(tag)} created_at:>='{_time_in(since)}'"
        nodes = self._call(ORDERS_FIND, {"query": query})["orders"]["nodes"]
        return next((_order_hit(node) for node in nodes if _has_tag(node, tag)), None)

    def recent_orders(self, since: datetime, most: int = 250) -> list[Hit]:
        """Orders created since then, whoever made them: at most so many (one page), in the order of their ids."""
        query = {"query": f"created_at:>='{_time_in(since)}'", "first": most}
        return [_order_hit(node) for node in self._call(ORDERS_FIND, query)["orders"]["nodes"]]

    def get_order(self, order_id: str) -> OrderState | None:
        """The order as it stands; None when it was deleted."""
        node = self._call(ORDER_GET, {"id": order_id})["order"]
        return _order(node) if node else None

    def get_order_lines(self, order_id: str) -> tuple[OrderLine, ...]:
        """All lines of an order with their attributes and variants."""
        return tuple(self._order_lines(order_id, None))

    def set_reference(self, order_id: str, attributes: Mapping[str, str], tiktok_order_id: str) -> None:
        """Write the order's attributes (they replace) and the metafield that makes it findable by our id."""
        metafield = {"namespace": "$app", "key": REFERENCE_KEY, "type": "id", "value": tiktok_order_id}
        changes = {"customAttributes": _attributes_in(attributes), "metafields": [metafield]}
        self._write(ORDER_UPDATE, {"input": {"id": order_id, **changes}})

    def set_order_address(self, order_id: str, address: PostalAddress, note: str | None = None) -> None:
        """Replace the shipping address of an order, and its note where one is given."""
        changes = {"id": order_id, "shippingAddress": _address_in(address)}
        if note is not None:
            changes["note"] = note
        self._write(ORDER_UPDATE, {"input": changes}, address)

    def cancel_order(
        self, order_id: str, *, restock: bool = True, note: str = "", reason: str = "OTHER"
    ) -> str:
        """Ask for a cancellation without mail or money moved; the job's id, "" when it was cancelled before.

        Asynchronous: `get_order(...).cancelled` tells when it is done.
        """
        wanted = {
            "orderId": order_id,
            "reason": reason,
            "restock": restock,
            "refundMethod": {"originalPaymentMethodsRefund": True},
            "staffNote": note[:STAFF_NOTE_LENGTH],
        }
        try:
            payload = self._write(ORDER_CANCEL, wanted)
        except Rejected as error:
            if ALREADY_CANCELLED.search(error.message):
                return ""
            raise
        return str((payload["job"] or {}).get("id", ""))

    def search_orders_updated(self, tag: str, since: datetime, after: str = "") -> Page:
        """One page of the orders with this tag, by last change, with their fulfillments and no lines."""
        return self._orders(tag, f"updated_at:>='{_time_in(since)}'", after)

    def search_orders_created(self, tag: str, since: datetime, until: datetime, after: str = "") -> Page:
        """One page of the orders with this tag that were made in a stretch of time."""
        return self._orders(tag, f"created_at:>='{_time_in(since)}' created_at:<'{_time_in(until)}'", after)

    def _orders(self, tag: str, when: str, after: str) -> Page:
        query = f"tag:{_quoted(tag)} {when}"
        found = self._call(ORDERS_UPDATED, {"query": query, "after": after or None})["orders"]
        orders = tuple(_order(node) for node in found["nodes"] if _has_tag(node, tag))
        page = found["pageInfo"]
        return Page(orders, page["endCursor"] or "", page["hasNextPage"])

    def defer_payment(self, draft_id: str, issued_at: datetime) -> None:
        """Make the draft complete as pending instead of paid (needs write_payment_terms)."""
        template = self._call(PAYMENT_TERMS_TEMPLATES, {})["paymentTermsTemplates"][0]["id"]
        schedules = [{"issuedAt": _time_in(issued_at)}]
        attributes = {"paymentTermsTemplateId": template, "paymentSchedules": schedules}
        self._write(PAYMENT_TERMS_CREATE, {"referenceId": draft_id, "attributes": attributes})

    def pay_manually(self, order_id: str, method_name: str, processed_at: datetime) -> None:
        """Record the payment of a pending order under the shop's own manual method of that exact name."""
        wanted = {"id": order_id, "paymentMethodName": method_name, "processedAt": _time_in(processed_at)}
        self._write(ORDER_PAY_MANUALLY, wanted)

    def mark_paid(self, order_id: str) -> None:
        """Mark a pending order as paid on the gateway `manual`."""
        self._write(ORDER_MARK_PAID, {"input": {"id": order_id}})

    # Tags, on drafts and orders alike

    def add_tags(self, object_id: str, tags: Sequence[str]) -> None:
        self._write(TAGS_ADD, {"id": object_id, "tags": list(tags)})

    def remove_tags(self, object_id: str, tags: Sequence[str]) -> None:
        self._write(TAGS_REMOVE, {"id": object_id, "tags": list(tags)})

    # Fulfillments

    def get_fulfillment(self, fulfillment_id: str) -> Fulfillment | None:
        """The fulfillment with all its tracking numbers and lines; None when there is none of that id."""
        node = self._call(FULFILLMENT_GET, {"id": fulfillment_id})["fulfillment"]
        if node is None:
            return None
        lines = list(node["fulfillmentLineItems"]["nodes"])
        page = node["fulfillmentLineItems"]["pageInfo"]
        while page["hasNextPage"]:
            more = {"id": fulfillment_id, "first": LINES_AT_ONCE, "after": page["endCursor"]}
            found = self._call(FULFILLMENT_GET, more)["fulfillment"]["fulfillmentLineItems"]
            lines += found["nodes"]
            page = found["pageInfo"]
        return _fulfillment(node, node["order"]["id"], lines)

    def get_order_fulfillments(self, order_id: str) -> list[Fulfillment]:
        """All fulfillments of an order with their lines."""
        order = self._call(ORDER_FULFILLMENTS, {"id": order_id})["order"]
        found: list[Fulfillment] = []
        for node in (order or {}).get("fulfillments", ()):
            lines = node["fulfillmentLineItems"]
            whole = self.get_fulfillment(node["id"]) if lines["pageInfo"]["hasNextPage"] else None
            found.append(whole or _fulfillment(node, order_id, lines["nodes"]))
        return found

    # Set-up

    def ensure_metafield_definition(self) -> None:
        """Declare the reference metafield in a shop where the app's configuration has not."""
        definition = {
            "name": "TikTok Shop order id",
            "key": REFERENCE_KEY,
            "ownerType": "ORDER",
            "type": "id",
        }
        try:
            self._write(METAFIELD_DEFINITION_CREATE, {"definition": definition})
        except Rejected as error:
            if error.code != "TAKEN":
                raise

    def create_webhook(
        self, topic: str, uri: str, include_fields: Sequence[str] = (), filter_: str = ""
    ) -> WebhookSubscription:
        """Subscribe this shop alone to a topic (as `FULFILLMENTS_UPDATE`)."""
        wanted: dict[str, Any] = {"uri": uri, "format": "JSON"}
        if include_fields:
            wanted["includeFields"] = list(include_fields)
        if filter_:
            wanted["filter"] = filter_
        payload = self._write(WEBHOOK_CREATE, {"topic": topic, "subscription": wanted})
        return _webhook(payload["webhookSubscription"])

    def list_webhooks(self) -> list[WebhookSubscription]:
        return [_webhook(node) for node in self._nodes(WEBHOOKS_LIST, {}, "webhookSubscriptions")]

    def delete_webhook(self, webhook_id: str) -> None:
        self._write(WEBHOOK_DELETE, {"id": webhook_id})

    # The way out

    def _completed(self, order: Mapping[str, Any], *, one_line: bool) -> CompletedOrder:
        found, page = order["lineItems"]["nodes"], order["lineItems"]["pageInfo"]
        lines = [_line(node) for node in found]
        if one_line and len(lines) > 1:
            # someone added a line: now they must be told apart
            lines = list(self._order_lines(order["id"], None))
        elif page["hasNextPage"]:
            lines += self._order_lines(order["id"], page["endCursor"])
        total, currency = _money(order["totalPriceSet"])
        return CompletedOrder(
            id=order["id"],
            name=order["name"],
            total=total,
            currency=currency,
            financial_status=order["displayFinancialStatus"] or "",
            gateways=tuple(order["paymentGatewayNames"]),
            lines=tuple(lines),
        )

    def _order_lines(self, order_id: str, after: str | None) -> Iterator[OrderLine]:
        while True:
            order = self._call(ORDER_LINES, {"id": order_id, "after": after})["order"]
            if order is None:
                return
            yield from map(_line, order["lineItems"]["nodes"])
            page = order["lineItems"]["pageInfo"]
            if not page["hasNextPage"]:
                return
            after = page["endCursor"]

    def _nodes(
        self, operation: Operation, variables: Mapping[str, Any], root: str
    ) -> Iterator[dict[str, Any]]:
        after: str | None = None
        while True:
            found = self._call(operation, {**variables, "after": after})[root]
            yield from found["nodes"]
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    def _write(
        self, operation: Operation, variables: Mapping[str, Any], private: PostalAddress | None = None
    ) -> dict[str, Any]:
        """The payload of a mutation without userErrors. `private` is taken out of any error's words."""
        with _without(private):
            payload: dict[str, Any] = next(iter(self._call(operation, variables).values()))
            _refuse_user_errors(payload)
        return payload

    def _call(self, operation: Operation, variables: Mapping[str, Any]) -> dict[str, Any]:
        token = self.shop.token(self.http)
        hold = self.budget.take(operation.cost)
        status = None
        try:
            reply = self._post(operation, variables, token)
            if reply.status_code == 401:  # expired early or replaced: once more with another token
                reply = self._post(operation, variables, self.shop.renew(token, self.http))
            answer = _json(reply.content)
            status = _cost(answer).get("throttleStatus")
        finally:
            self.budget.settle(hold, status)
        _watch_version(reply.headers)
        return decipher(reply.status_code, reply.headers, answer, operation)

    def _post(self, operation: Operation, variables: Mapping[str, Any], token: str) -> requests.Response:
        origin = settings.SHOPIFY_SHOP_URL.format(shop=self.shop.domain)
        try:
            return self.http.post(
                f"{origin}/admin/api/{settings.SHOPIFY_API_VERSION}/graphql.json",
                data=orjson.dumps({"query": operation.text, "variables": variables}),
                headers={"Content-Type": "application/json", "X-Shopify-Access-Token": token},
                timeout=(settings.CONNECT_TIMEOUT_SECONDS, settings.CALL_DEADLINE_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unavailable(
                f"no answer to {operation.name}: {type(error).__name__}",
                code="no_answer",
                may_have_acted=operation.writes and not _never_sent(error),
            ) from None


@contextmanager
def _without(private: PostalAddress | None) -> Iterator[None]:
    """Errors raised in here say nothing of this address."""
    try:
        yield
    except ShopifyError as error:
        if private:
            error.message = private.removed_from(error.message)
            error.args = (error.message,)
        raise


def decipher(
    status: int, headers: Mapping[str, str], answer: Mapping[str, Any] | None, operation: Operation
) -> dict[str, Any]:
    """The data of an answer (None = not JSON), or the error it means (Shopify contract 6)."""
    request_id = headers.get("X-Request-Id", "")
    if status != 200:
        raise _status_error(status, headers, request_id, operation)
    if answer is None or not (answer.get("data") or answer.get("errors")):
        raise Unavailable(
            "an answer that is not GraphQL",
            code="not_graphql",
            request_id=request_id,
            may_have_acted=operation.writes,
        )
    if answer.get("errors"):
        error = _graphql_error(answer, request_id, operation)
        told = answer.get("data") or {}
        if operation.writes and any(payload is not None for payload in told.values()):
            error.may_have_acted = True  # refused was a part of the answer, not the write
        raise error
    _refuse_search_warnings(answer, request_id)
    data: dict[str, Any] = answer["data"]
    return data


def _status_error(
    status: int, headers: Mapping[str, str], request_id: str, operation: Operation
) -> ShopifyError:
    words, code = f"HTTP {status} to {operation.name}", str(status)
    if status == 429:
        wait = retry_after(headers.get("Retry-After"))
        return Busy(words, retry_after=wait, code=code, request_id=request_id)
    if status >= 500:
        return Unavailable(words, code=code, request_id=request_id, may_have_acted=operation.writes)
    if status in {401, 402, 403, 423}:  # token dead; unpaid; forbidden; locked
        return AccessLost(words, code=code, request_id=request_id, retry_daily=status in {402, 423})
    return Rejected(words, code=code, request_id=request_id)


def _graphql_error(answer: Mapping[str, Any], request_id: str, operation: Operation) -> ShopifyError:
    found = answer["errors"]
    errors: list[dict[str, Any]] = found if isinstance(found, list) else [{"message": str(found)}]
    message = "; ".join(str(error.get("message", "")) for error in errors)
    codes = [str((error.get("extensions") or {}).get("code", "")) for error in errors]
    code = next(filter(None, codes), "graphql")
    if "THROTTLED" in codes:
        return Busy(message, retry_after=_throttled_wait(_cost(answer)), request_id=request_id)
    if TRANSIENT_CODES.intersection(codes):
        return Unavailable(message, code=code, request_id=request_id, may_have_acted=operation.writes)
    if SCOPE_MISSING in codes:
        return AccessLost(message, code=SCOPE_MISSING, request_id=request_id)
    return Rejected(message, code=code, request_id=request_id)


def _throttled_wait(cost: Mapping[str, Any]) -> float:
    status = cost.get("throttleStatus") or {}
    missing = float(cost.get("requestedQueryCost") or 0) - float(status.get("currentlyAvailable") or 0)
    wait = max(1.0, missing / float(status.get("restoreRate") or 100))
    return wait + jitter(wait)


def _refuse_search_warnings(answer: Mapping[str, Any], request_id: str) -> None:
    """An unknown filter is ignored and everything matches; only a warning says so."""
    for search in (answer.get("extensions") or {}).get("search") or ():
        for warning in search.get("warnings") or ():
            words = f"{warning.get('field')}: {warning.get('message')}"
            raise Rejected(words, code="SEARCH_WARNING", request_id=request_id)


def _refuse_user_errors(payload: Mapping[str, Any] | None) -> None:
    if payload is None:
        raise Rejected("Shopify answered nothing", code="empty")
    errors = [*payload.get("userErrors", ()), *payload.get("orderCancelUserErrors", ())]
    if not errors:
        return
    message = "; ".join(_words(error) for error in errors)
    code = next((error["code"] for error in errors if error.get("code")), "user_error")
    if code == "SERVICE_UNAVAILABLE" or TRANSIENT.search(message):
        raise Unavailable(message, code=code)
    raise Rejected(message, code=code)


def _words(error: Mapping[str, Any]) -> str:
    path = ".".join(map(str, error.get("field") or ()))
    return f"{path}: {error['message']}" if path else str(error["message"])


def _watch_version(headers: Mapping[str, str]) -> None:
    """A version that is gone is answered with an older one, silently: say so."""
    served = headers.get("X-Shopify-API-Version", settings.SHOPIFY_API_VERSION)
    if served != settings.SHOPIFY_API_VERSION:
        log.error("Shopify served another API version", extra={"served": served})
    if reason := headers.get("X-Shopify-API-Deprecated-Reason"):
        log.warning("Shopify calls a request deprecated", extra={"reason": reason})


def _never_sent(error: requests.RequestException) -> bool:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    refused = isinstance(cause, urllib3.exceptions.NewConnectionError)
    return refused or isinstance(error, requests.ConnectTimeout)


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def _cost(answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    extensions = (answer or {}).get("extensions") or {}
    cost: Mapping[str, Any] = extensions.get("cost") or {}
    return cost


# Values out


def _amounts(content: DraftContent) -> dict[str, Any]:
    """Lines and shipping, their currency, and that nobody taxes them: what makes the total."""
    shipping = None
    if content.shipping_amount is not None:
        price = _money_in(content.shipping_amount, content.currency)
        shipping = {"title": content.shipping_title, "priceWithCurrency": price}
    return {
        "lineItems": [_line_in(line, content.currency) for line in content.lines],
        "shippingLine": shipping,
        "presentmentCurrencyCode": content.currency,
        "taxExempt": True,
    }


def _line_in(line: DraftLine, currency: str) -> dict[str, Any]:
    price = _money_in(line.unit_price, currency)
    common = {"quantity": line.quantity, "customAttributes": _attributes_in(line.attributes)}
    if line.variant_id:
        return {**common, "variantId": line.variant_id, "priceOverride": price}
    return {
        **common,
        "title": line.title,
        "sku": line.sku,
        "originalUnitPriceWithCurrency": price,
        "requiresShipping": line.requires_shipping,
        "taxable": False,
    }


def _address_in(address: PostalAddress) -> dict[str, str | None]:
    """Every field, also an empty one: what is left out keeps its value (Shopify contract 3c), and a former flat number
    would stand under a new street."""
    fields = {
        "firstName": address.first_name,
        "lastName": address.last_name,
        "company": address.company,
        "address1": address.address1,
        "address2": address.address2,
        "city": address.city,
        "provinceCode": address.province_code,
        "zip": address.zip,
        "countryCode": address.country_code,
        "phone": address.phone,
    }
    return {name: value or None for name, value in fields.items()}


def _attributes_in(attributes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in attributes.items()]


def _money_in(amount: Decimal, currency: str) -> dict[str, str]:
    return {"amount": format(amount, "f"), "currencyCode": currency}


def _time_in(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


# Values in


def _draft(node: Mapping[str, Any]) -> Draft:
    total, currency = _money(node["totalPriceSet"])
    order = node.get("order") or {}
    return Draft(
        id=node["id"],
        name=node["name"],
        status=node["status"],
        ready=node["ready"],
        tags=tuple(node["tags"]),
        updated_at=_time(node["updatedAt"]),
        total=total,
        tax=Decimal(node["totalTaxSet"]["presentmentMoney"]["amount"]),
        currency=currency,
        note=node["note2"] or "",
        reserve_until=_time_or_none(node["reserveInventoryUntil"]),
        order_id=order.get("id", ""),
        order_name=order.get("name", ""),
    )


def _order(node: Mapping[str, Any]) -> OrderState:
    total, currency = _money(node["totalPriceSet"])
    return OrderState(
        id=node["id"],
        name=node["name"],
        cancelled_at=_time_or_none(node["cancelledAt"]),
        closed=node["closed"],
        financial_status=node["displayFinancialStatus"] or "",
        fulfillment_status=node["displayFulfillmentStatus"],
        tags=tuple(node["tags"]),
        total=total,
        currency=currency,
        updated_at=_time(node["updatedAt"]),
        note=node.get("note") or "",
        fulfillments=tuple(_fulfillment(f, node["id"]) for f in node.get("fulfillments", ())),
    )


def _line(node: Mapping[str, Any]) -> OrderLine:
    return OrderLine(
        id=node["id"],
        sku=node["sku"] or "",
        quantity=node["quantity"],
        variant_id=(node.get("variant") or {}).get("id", ""),
        attributes={pair["key"]: pair["value"] or "" for pair in node.get("customAttributes", ())},
        title=node["title"],
        unit_price=_money(node["originalUnitPriceSet"])[0],
    )


def _fulfillment(
    node: Mapping[str, Any], order_id: str, lines: Sequence[Mapping[str, Any]] = ()
) -> Fulfillment:
    return Fulfillment(
        id=node["id"],
        name=node["name"],
        status=node["status"],
        order_id=order_id,
        updated_at=_time(node["updatedAt"]),
        tracking=tuple(
            TrackingInfo(info["company"] or "", info["number"] or "", info["url"] or "")
            for info in node["trackingInfo"]
        ),
        lines=tuple(FulfillmentLine(line["lineItem"]["id"], line["quantity"] or 0) for line in lines),
    )


def _variant(node: Mapping[str, Any]) -> Variant:
    product = node["product"]
    return Variant(
        id=node["id"],
        sku=node["sku"] or "",
        title=node["title"],
        product_title=product["title"],
        product_id=product["id"],
        product_status=product["status"],
        requires_shipping=node["inventoryItem"]["requiresShipping"],
    )


def _webhook(node: Mapping[str, Any]) -> WebhookSubscription:
    return WebhookSubscription(
        id=node["id"],
        topic=node["topic"],
        uri=node["uri"],
        include_fields=tuple(node["includeFields"]),
        filter=node["filter"] or "",
    )


def _order_hit(node: Mapping[str, Any]) -> Hit:
    return Hit(
        id=node["id"],
        name=node["name"],
        tags=tuple(node["tags"]),
        created_at=_time(node["createdAt"]),
        completed=True,
        cancelled=node["cancelledAt"] is not None,
        order_id=node["id"],
    )


def _has_tag(node: Mapping[str, Any], tag: str) -> bool:
    """Shopify keeps tags' case but compares without it."""
    return tag.casefold() in {found.casefold() for found in node["tags"]}


def _money(bag: Mapping[str, Any]) -> tuple[Decimal, str]:
    money = bag["presentmentMoney"]
    return Decimal(money["amount"]), money.get("currencyCode", "")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return _time(text) if text else None
