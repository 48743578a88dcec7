"""The two pulls: what no webhook told us. TikTok's orders by update time, Shopify's orders with our tag by theirs.

A connection is a row of work that is due when its next pull is. Each step reads one page; a cursor moves only after
the last page of its window is stored, and windows overlap, because data moves during a search (TikTok contract 4.1).
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from connector import catalogue, mapping, matching, parcels, rules, setup
from connector.models import DAILY, RESTS_IN_PAUSE, Connection, InboxEvent, Order, Parcel
from connector.platforms import shopify_for, tiktok_for
from connector.states import CAUSED_BY_A_PLATFORM, IN_SHOPIFY
from connector.states import OrderState as State
from connector.work import ACCESS_LOST, REJECTED, UNAVAILABLE, wake_all
from shopify_app.orders import Fulfillment, OrderState
from tiktok.orders import Order as Source

log = logging.getLogger(__name__)

FIRST_LOOK_BACK = timedelta(days=30)  # older open orders are offered; orders older than this are not
OTHER_CONNECTORS_BACK = timedelta(days=7)
# PRODUCT SK30; exact tags of the field's others
OTHER_CONNECTORS = (
    "skuiq",
    "tiktokpos",
    "tiktok pos store",
)
OTHER_CONNECTOR_PREFIX = "TikTokOrderID:"  # TikTok's own app (PRODUCT, b7)
DECLARED_WITHIN = timedelta(minutes=1)
# What of an order says whether TikTok has news of it.
TOLD_BY_TIKTOK = ("tiktok_id", "tiktok_updated_at", "tiktok_status", "cancel_requested", "addressed_marked")
OPEN = ("UNPAID", *rules.BEFORE_SHIPPING, "PARTIALLY_SHIPPING")


def pull(connection: Connection) -> None:
    """One page of one pull; due again at once until both windows are read."""
    if connection.paused:
        return knock(connection)
    if not connection.active:
        return see_off(connection)
    if connection.prepared_at is None:
        prepare(connection)
    more = pull_tiktok(connection) or pull_shopify(connection) or catalogue.read(connection)
    if not more:
        setup.check(connection)
        matching.search_again(connection)
    return connection.succeed(next_pull(more))


def next_pull(more: bool) -> datetime:
    return timezone.now() + (timedelta(0) if more else settings.PULL_EVERY)


def knock(connection: Connection) -> None:
    """Ask once a day whether both shops let us in again; AccessLost leaves the pause as it is."""
    tomorrow = (connection.paused_at or timezone.now()) + DAILY
    if connection.paused_reason not in CAUSED_BY_A_PLATFORM:
        return connection.release(None, last_error=RESTS_IN_PAUSE)
    if tomorrow > timezone.now():
        return connection.release(tomorrow, last_error=RESTS_IN_PAUSE)
    setup.store(connection)
    if connection.shop.missing_scopes() or not setup.access(connection)["ours"]:
        return connection.release(timezone.now() + DAILY, last_error=RESTS_IN_PAUSE)
    connection.resume()
    return connection.succeed(timezone.now())


def see_off(connection: Connection) -> None:
    """A shop that was disconnected: what stands in Shopify still gets its tracking sent, then nothing is read."""
    on_their_way = Order.objects.filter(
        shop_id=connection.shop_id, state=State.FINALIZED, connection=connection
    )
    return connection.succeed(next_pull(pull_shopify(connection)) if on_their_way.exists() else None)


# ---- after every consent -------------------------------------------------------------------------


def prepare(connection: Connection) -> None:
    """See who else makes these orders: imports wait for it (importing.received). Only then ask to be rung.

    What goes on at TikTok is read meanwhile: orders that are in Shopify are followed although nobody can tell yet.
    """
    try:
        found = other_connector(connection)
    except ACCESS_LOST:
        raise
    except (*UNAVAILABLE, *REJECTED):
        pull_tiktok(connection)
        raise
    declare(connection)
    connection.keep(prepared_at=timezone.now(), **found)
    begin_imports(connection)
    setup.check(connection)


def other_connector(connection: Connection) -> dict[str, Any]:
    """A tag of another connector on an order of the last week: importing beside it would double every order.

    A person may have said that the other one is off: then only what it made since counts, and is asked anew.
    """
    accepted_at = connection.other_connector_accepted_at
    since = timezone.now() - OTHER_CONNECTORS_BACK
    hit = find_other_connector(connection, max(since, accepted_at or since))
    if accepted_at is None:
        return {"other_connector": hit}
    return {"other_connector": hit, "other_connector_accepted_at": None} if hit else {}


def find_other_connector(connection: Connection, since: datetime) -> dict[str, str]:
    shopify = shopify_for(connection.shop)
    for tag in (*OTHER_CONNECTORS, *connection.policy.other_connector_tags):
        if hit := shopify.first_order(tag, since):
            return {"tag": tag, "order": hit.name}
        connection.keep()  # a merchant may name many tags, and each is a call
    for hit in shopify.recent_orders(since):
        if any(tag.startswith(OTHER_CONNECTOR_PREFIX) for tag in hit.tags):
            return {"tag": OTHER_CONNECTOR_PREFIX, "order": hit.name}
    return {}


def declare(connection: Connection) -> None:
    """Every order is given a reference, which wants its definition first, ahead of back-fill. What Shopify refuses or
    does not answer for a minute is asked for again by setup.check, and holds no order up.
    """
    try:
        shopify_for(connection.shop).ensure_metafield_definition()
    except ACCESS_LOST:
        raise
    except REJECTED as error:
        log.info("declared later", extra={"connection": connection.pk, "error": error.public})
    except UNAVAILABLE:
        since = connection.failing_since
        if since is None or timezone.now() - since < DECLARED_WITHIN:
            raise


def begin_imports(connection: Connection) -> None:
    """Wake what waited for the look, and what asks because of what an earlier one found.

    A step that is under way read that nobody had looked yet: to wake its row makes it run again.
    """
    waiting = Order.objects.filter(connection=connection, state=State.RECEIVED)
    wake_all(waiting.filter(reason__in=("", "other_connector")))


# ---- TikTok --------------------------------------------------------------------------------------


def pull_tiktok(connection: Connection) -> bool:
    """Read one page of TikTok's orders; whether another follows."""
    if connection.tiktok_until is None:
        if recent(connection.tiktok_pulled_at):
            return False
        connection.keep(tiktok_until=timezone.now(), tiktok_page="")
    since = (connection.tiktok_cursor or connection.started_at - FIRST_LOOK_BACK) - settings.PULL_OVERLAP
    tiktok = tiktok_for(connection, live=False)
    # No upper time: TikTok's own now is the end, and its clock may be ahead of ours.
    page = tiktok.search_orders(since, page_token=connection.tiktok_page)
    store_orders(connection, page.orders)
    if page.next_page_token:
        connection.keep(tiktok_page=page.next_page_token)
        return True
    store_orders(connection, tiktok.search_cancel_requests().orders)
    now = timezone.now()
    connection.keep(
        tiktok_cursor=connection.tiktok_until, tiktok_until=None, tiktok_page="", tiktok_pulled_at=now
    )
    return False


def store_orders(connection: Connection, sources: Iterable[Source]) -> None:
    """Know every order, and wake those that changed since we last looked."""
    wanted = {source.id: source for source in sources if ours_to_know(connection, source)}
    known = Order.objects.filter(connection=connection, tiktok_id__in=wanted)
    seen = {order.tiktok_id: order for order in known.values_list(*TOLD_BY_TIKTOK, named=True)}
    now = timezone.now()
    Order.objects.bulk_create(
        [
            Order(
                connection=connection,
                shop_id=connection.shop_id,
                tiktok_id=source.id,
                placed_at=source.create_time,
                tiktok_status=source.status,
                live=is_live(source),
                due_at=now,
            )
            for source in wanted.values()
            if source.id not in seen
        ],
        ignore_conflicts=True,
    )
    changed = [id for id, order in seen.items() if is_news(wanted[id], order)]
    wake_all(Order.objects.filter(connection=connection, tiktok_id__in=changed))


def ours_to_know(connection: Connection, source: Source) -> bool:
    """Orders placed before the start are listed only while they are open."""
    older = source.create_time is not None and source.create_time < connection.started_at
    return bool(source.id) and (not older or source.status in OPEN)


def is_live(source: Source) -> bool:
    """Paid within the last hours: today's work. The rest is back-fill and waits behind it."""
    paid = source.paid_time or source.create_time
    return paid is not None and timezone.now() - paid < timedelta(hours=3)


def is_news(source: Source, order: Any) -> bool:
    """Whether TikTok has changed the order since we looked. Its update time is that of the last change of status, in
    whole seconds: a second one in the same, a cancel request and a new address leave it as it was (contract 4.3).
    """
    now, before = source.update_time, order.tiktok_updated_at
    return (
        before is None
        or (now is not None and now > before)
        or source.status != order.tiktok_status
        or source.is_buyer_request_cancel != order.cancel_requested
        or (order.addressed_marked is False and source.has_updated_recipient_address)
    )


# ---- Shopify -------------------------------------------------------------------------------------


def pull_shopify(connection: Connection) -> bool:
    """Read one page of our orders in Shopify; whether another follows."""
    if connection.shopify_until is None:
        if recent(connection.shopify_pulled_at):
            return False
        connection.keep(shopify_until=timezone.now(), shopify_page="")
    since = (connection.shopify_cursor or connection.started_at) - settings.PULL_OVERLAP
    page = shopify_for(connection.shop, live=False).search_orders_updated(
        mapping.SHOP_TAG, since, connection.shopify_page
    )
    for state in page.orders:
        store_shopify_order(connection, state)
    if page.has_next:
        connection.keep(shopify_page=page.end_cursor)
        return True
    now = timezone.now()
    connection.keep(
        shopify_cursor=connection.shopify_until, shopify_until=None, shopify_page="", shopify_pulled_at=now
    )
    return False


def store_shopify_order(connection: Connection, state: OrderState) -> None:
    """Ring for each fulfillment that our parcels do not show, and wake an order that a merchant ended."""
    order = Order.objects.filter(shop_id=connection.shop_id, order_gid=state.id, state__in=IN_SHOPIFY).first()
    if order is None:
        return
    if (state.cancelled or state.financial_status == "REFUNDED") and not order.shopify_state:
        order.wake(order_touched=True)
    for fulfillment in state.fulfillments:
        if not shown(fulfillment):
            facts = fulfillment_facts(fulfillment, state.id)
            InboxEvent.ring(
                "shopify", "fulfillments/update", connection.shop_id, facts, fulfillment.updated_at
            )


def shown(fulfillment: Fulfillment) -> bool:
    """Whether our parcels already say what this fulfillment says; one that was replaced or withdrawn says nothing."""
    standing = Parcel.objects.filter(fulfillment_gid=fulfillment.id).exclude(state__in=parcels.FORMER)
    told = parcels.numbers_of(fulfillment).items()
    return fulfillment.status == "SUCCESS" and told <= set(standing.values_list("number", "company"))


def fulfillment_facts(fulfillment: Fulfillment, order_gid: str) -> dict[str, Any]:
    return {"id": fulfillment.id, "order_id": order_gid, "status": fulfillment.status}


def recent(at: datetime | None) -> bool:
    """Pulled in this round already: the other pull's pages are being read."""
    return at is not None and timezone.now() - at < settings.PULL_EVERY / 2
