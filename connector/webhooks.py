"""Two views: verify, store, answer 200. No domain, no remote call; what an event means is inbox.py's business."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from psycopg.types.json import Jsonb

import shopify_app.errors
import shopify_app.webhooks
import tiktok.errors
import tiktok.webhooks
from connector.mapping import ID_TAG
from connector.wake import bell

log = logging.getLogger(__name__)

# One statement: whose event it is, the row, and nothing at all for a doorbell that rang before. An event of a shop
# that we do not know is stored as done, so that it is answered, counted and never looked at again. MATERIALIZED: the
# owner is planned and looked for once, not once for each column that depends on it.
STORE = """
WITH owner AS MATERIALIZED (SELECT ({owner}) AS shop_id)
INSERT INTO connector_inboxevent (source, key, topic, subject, facts, triggered_at, received_at,
                                  shop_id, due_at, done_at, outcome, attempts, last_error, live)
SELECT %(source)s, %(key)s, %(topic)s, %(subject)s, %(facts)s, %(triggered_at)s, %(now)s, shop_id,
       CASE WHEN shop_id IS NULL THEN NULL ELSE %(now)s END, CASE WHEN shop_id IS NULL THEN %(now)s END,
       CASE WHEN shop_id IS NULL THEN 'unknown shop' ELSE '' END, 0, '', %(live)s
FROM owner
ON CONFLICT (source, key) DO NOTHING RETURNING shop_id
"""
OF_TIKTOK = """SELECT c.shop_id FROM connector_connection c JOIN tiktok_shop t ON t.id = c.tiktok_shop_id
               WHERE t.shop_id = %(owner)s ORDER BY c.active DESC LIMIT 1"""
OF_SHOPIFY = "SELECT id FROM shopify_app_shop WHERE domain = %(owner)s"
NO_HURRY = ("products/update", "products/delete")  # come by the thousand; orders and parcels go first
SHOPIFY_SECRETS = [settings.SHOPIFY_API_SECRET, settings.SHOPIFY_API_SECRET_OLD]
STORE_TIKTOK, STORE_SHOPIFY = STORE.format(owner=OF_TIKTOK), STORE.format(owner=OF_SHOPIFY)


def webhook(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A body beyond DATA_UPLOAD_MAX_MEMORY_SIZE is not even read."""

    @wraps(view)
    def measured(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except RequestDataTooBig:
            return HttpResponse(status=413)

    return csrf_exempt(require_POST(measured))


@webhook
def from_tiktok(request: HttpRequest) -> HttpResponse:
    try:
        event = tiktok.webhooks.parse(request.headers, request.body, settings.TIKTOK_APPS)
    except tiktok.errors.BadSignature:
        return HttpResponse(status=401)
    except tiktok.errors.Malformed as error:
        return refused("tiktok", error)
    store(
        STORE_TIKTOK,
        source="tiktok",
        owner=event.shop_id,
        key=event.key,
        topic=event.topic,
        subject=event.order_id,
        facts=event.facts | {"shop_id": event.shop_id},
        triggered_at=event.timestamp,
        live=True,
    )
    return HttpResponse()


@webhook
def from_shopify(request: HttpRequest) -> HttpResponse:
    try:
        event = shopify_app.webhooks.parse(request.headers, request.body, SHOPIFY_SECRETS)
    except shopify_app.errors.BadSignature:
        return HttpResponse(status=401)
    except shopify_app.webhooks.MissingHeaders:
        return HttpResponse(status=400)
    except shopify_app.errors.Malformed as error:
        return refused("shopify", error)
    store(
        STORE_SHOPIFY,
        source="shopify",
        owner=event.shop_domain,
        key=event.key,
        topic=event.topic,
        subject=event.facts.get("id", ""),
        facts=ours(event.facts),
        triggered_at=event.triggered_at,
        live=event.topic not in NO_HURRY,
    )
    return HttpResponse()


def ours(facts: dict[str, Any]) -> dict[str, Any]:
    """Without a merchant's own tags, which may be anybody's name."""
    if "tags" not in facts:
        return facts
    return facts | {"tags": [tag for tag in facts["tags"] if tag.startswith(ID_TAG)]}


def refused(source: str, error: Exception) -> HttpResponse:
    """Signed, and yet not the documented shape: said in the log, answered 200; sending it again is no cure."""
    log.warning("webhook not understood", extra={"source": source, "error": str(error)})
    return HttpResponse()


def store(sql: str, *, facts: dict[str, Any], **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values | {"facts": Jsonb(facts), "now": timezone.now()})
        row = cursor.fetchone()
    if row and row[0] is not None:
        bell.ring(row[0])
