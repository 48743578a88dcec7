"""Two doors: verify, store, answer 200. No domain, no remote call; what an event means is inbox.py's business.

What granian serves comes straight from WSGI (`Doors`): Django's request, routes and response cost more than all that a
webhook needs. Servers of Django's own, in tests, come by its routes (`as_view`) to the same `answer`.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

import shopify_app.errors
import shopify_app.webhooks
import tiktok.errors
import tiktok.webhooks
from connector.mapping import ID_TAG
from connector.postgres.prepared import Statement
from connector.wake import bell

log = logging.getLogger(__name__)

Request = dict[str, Any]  # WSGI's
Door = Callable[[Request, bytes], HTTPStatus]
Respond = Callable[[str, list[tuple[str, str]]], object]

# One statement: whose event it is, the row, and nothing at all for a doorbell that rang before. An event of a shop
# that we do not know is stored as done, so that it is answered, counted and never looked at again. MATERIALIZED: the
# owner is looked for once, not once for each column that depends on it.
STORE = """
WITH owner AS MATERIALIZED (SELECT ({owner}) AS shop_id)
INSERT INTO connector_inboxevent (source, key, topic, subject, facts, triggered_at, received_at,
                                  shop_id, due_at, done_at, outcome, attempts, last_error, live)
SELECT '{source}', $1, $2, $3, $4::jsonb, $5::timestamptz, $6::timestamptz, shop_id,
       CASE WHEN shop_id IS NULL THEN NULL ELSE $6::timestamptz END,
       CASE WHEN shop_id IS NULL THEN $6::timestamptz END,
       CASE WHEN shop_id IS NULL THEN 'unknown shop' ELSE '' END, 0, '', $7::boolean
FROM owner
ON CONFLICT (source, key) DO NOTHING RETURNING shop_id
"""
OF_TIKTOK = """SELECT c.shop_id FROM connector_connection c JOIN tiktok_shop t ON t.id = c.tiktok_shop_id
               WHERE t.shop_id = $8 ORDER BY c.active DESC LIMIT 1"""
OF_SHOPIFY = "SELECT id FROM shopify_app_shop WHERE domain = $8"
STORE_TIKTOK = Statement.of(STORE.format(source="tiktok", owner=OF_TIKTOK))
STORE_SHOPIFY = Statement.of(STORE.format(source="shopify", owner=OF_SHOPIFY))
NO_HURRY = ("products/create", "products/delete")  # come by the thousand; orders and parcels go first
SHOPIFY_SECRETS = [settings.SHOPIFY_API_SECRET, settings.SHOPIFY_API_SECRET_OLD]


class Doors:
    """WSGI: the two addresses of webhooks, and whatever serves the others."""

    def __init__(self, others: Callable[[Request, Respond], Iterable[bytes]]) -> None:
        self._others = others

    def __call__(self, request: Request, respond: Respond) -> Iterable[bytes]:
        door = DOORS.get(request["PATH_INFO"])
        if door is None:
            return self._others(request, respond)
        status = answer(door, request)
        respond(f"{status.value} {status.phrase}", headers_of(status))
        return []


def as_view(door: Door) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        status = answer(door, request.META)
        return HttpResponse(status=status, headers=dict(headers_of(status)))

    return csrf_exempt(view)


def headers_of(status: HTTPStatus) -> list[tuple[str, str]]:
    allow = [("Allow", "POST")] if status == HTTPStatus.METHOD_NOT_ALLOWED else []
    return [("Content-Length", "0"), *allow]


def answer(door: Door, request: Request) -> HTTPStatus:
    status = taken(door, request)
    if status // 100 == 4:
        log.warning("webhook refused", extra={"path": request["PATH_INFO"], "status": status.value})
    return status


def taken(door: Door, request: Request) -> HTTPStatus:
    """A body that says it is beyond DATA_UPLOAD_MAX_MEMORY_SIZE is not even read."""
    if request["REQUEST_METHOD"] != "POST":
        return HTTPStatus.METHOD_NOT_ALLOWED
    size = size_of(request)
    if size is not None and size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    try:
        body = request["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1 if size is None else size)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return door(request, body)
    except Exception:
        log.exception("webhook not stored")  # the platform sends it again
        return HTTPStatus.INTERNAL_SERVER_ERROR


def size_of(request: Request) -> int | None:
    """How long the body is. None: it comes in chunks, as a sender's who does not say, and the server knows its end;
    a server that leaves the chunks to us (not granian, see `wsgi.input_terminated`) would wait for more for ever."""
    length = request.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdecimal():
        return int(length)
    return None if request.get("wsgi.input_terminated") else 0


def from_tiktok(request: Request, body: bytes) -> HTTPStatus:
    try:
        event = tiktok.webhooks.parse(told(request, TIKTOK_HEADERS), body, settings.TIKTOK_APPS)
    except tiktok.errors.BadSignature:
        return HTTPStatus.UNAUTHORIZED
    except tiktok.errors.Malformed as error:
        return refused("tiktok", error)
    store(
        STORE_TIKTOK,
        owner=event.shop_id,
        key=event.key,
        topic=event.topic,
        subject=event.order_id,
        facts=event.facts | {"shop_id": event.shop_id},
        triggered_at=event.timestamp,
        live=True,
    )
    return HTTPStatus.OK


def from_shopify(request: Request, body: bytes) -> HTTPStatus:
    try:
        event = shopify_app.webhooks.parse(told(request, SHOPIFY_HEADERS), body, SHOPIFY_SECRETS)
    except shopify_app.errors.BadSignature:
        return HTTPStatus.UNAUTHORIZED
    except shopify_app.webhooks.MissingHeaders:
        return HTTPStatus.BAD_REQUEST
    except shopify_app.errors.Malformed as error:
        return refused("shopify", error)
    store(
        STORE_SHOPIFY,
        owner=event.shop_domain,
        key=event.key,
        topic=event.topic,
        subject=event.facts.get("id", ""),
        facts=ours(event.facts),
        triggered_at=event.triggered_at,
        live=event.topic not in NO_HURRY,
    )
    return HTTPStatus.OK


DOORS: dict[str, Door] = {"/webhooks/tiktok": from_tiktok, "/webhooks/shopify": from_shopify}


def in_wsgi(names: Iterable[str]) -> dict[str, str]:
    return {name: f"HTTP_{name.upper().replace('-', '_')}" for name in names}


TIKTOK_HEADERS = in_wsgi(tiktok.webhooks.HEADERS)
SHOPIFY_HEADERS = in_wsgi(shopify_app.webhooks.HEADERS)


def told(request: Request, names: Mapping[str, str]) -> dict[str, str]:
    return {name: request.get(key, "") for name, key in names.items()}


def ours(facts: dict[str, Any]) -> dict[str, Any]:
    """Without a merchant's own tags, which may be anybody's name."""
    if "tags" not in facts:
        return facts
    return facts | {"tags": [tag for tag in facts["tags"] if tag.startswith(ID_TAG)]}


def refused(source: str, error: Exception) -> HTTPStatus:
    """Signed, and yet not the documented shape: said in the log, answered 200; sending it again is no cure."""
    log.warning("webhook not understood", extra={"source": source, "error": str(error)})
    return HTTPStatus.OK


def store(statement: Statement, **event: Any) -> None:
    row = statement.first_row(*values_of(**event))
    if row and row[0] is not None:
        bell.ring(int(row[0]))


def values_of(
    *,
    owner: str,
    key: str,
    topic: str,
    subject: str,
    facts: dict[str, Any],
    triggered_at: datetime,
    live: bool,
) -> tuple[bytes, ...]:
    """In the order of STORE."""
    return (
        key.encode(),
        topic.encode(),
        subject.encode(),
        orjson.dumps(facts),
        triggered_at.isoformat().encode(),
        timezone.now().isoformat().encode(),
        b"true" if live else b"false",
        owner.encode(),
    )
