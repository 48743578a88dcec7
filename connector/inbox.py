"""What an event means to us. Each is a doorbell: it wakes rows, and the truth is read from the platform."""

from collections.abc import Callable, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import shopify_app.errors
from connector import mapping, matching, parcels, sql, wake
from connector.models import ASKING, Connection, InboxEvent, Order, OrderLog, forget
from connector.platforms import shopify_for
from connector.states import IN_SHOPIFY, OrderState, Pause
from connector.transport import session
from connector.work import WOKEN, Later, wake_all
from shopify_app.models import Shop
from tiktok.models import Seller
from tiktok.webhooks import address_changed_at, grant_ends_at

WAKE_KNOWN = f"""
UPDATE connector_order SET {WOKEN}, address_told_at = GREATEST(address_told_at, %s)
WHERE tiktok_id = %s AND connection_id IN (SELECT id FROM connector_connection WHERE tiktok_shop_id = %s)
RETURNING connection_id, shop_id
"""  # noqa: S608  (our own words)
HEARD_EVERY = timedelta(seconds=10)  # how exactly a connection remembers when TikTok last rang
REDACTED_AFTER = timedelta(hours=48)  # that shop/redact comes after its uninstall (Shopify contract 2.7)
# of the 30 that Shopify gives, while a frozen store says neither yes nor no
REDACTED_WITHIN = timedelta(days=25)
REDACT_ASKS_AGAIN = timedelta(hours=1)
FOR_THE_SEARCH = timedelta(seconds=10)  # that it lags behind what it finds (Shopify contract 3a)
FOR_A_MAKER = timedelta(seconds=2)  # that an event waits for the worker that is just making what it is about


def answer(event: InboxEvent) -> None:
    meaning = MEANINGS.get((event.source, event.topic))
    outcome = meaning(event) if meaning else "no meaning to us"
    event.done(outcome or "done")


# ---- TikTok --------------------------------------------------------------------------------------


def tiktok_order(event: InboxEvent) -> str:
    """Make sure that we know the order, and look at it."""
    connection = connection_of(event)
    if connection is None or not event.subject:
        return "no active connection"
    known = wake_known(event, connection)
    if not connection.active:
        return "no active connection"
    if connection.pk not in known:
        new = Order(
            connection=connection,
            tiktok_id=event.subject,
            shop_id=event.owner.pk,
            due_at=timezone.now(),
            address_told_at=address_told_at(event),
        )
        sql.insert(new, unless_known=True)
    if not connection.last_webhook_at or event.received_at - connection.last_webhook_at > HEARD_EVERY:
        Connection.objects.filter(pk=connection.pk).update(last_webhook_at=event.received_at)
    return ""


def tiktok_return(event: InboxEvent) -> str:
    """A case was opened or closed: what TikTok did not take meanwhile may be taken now. It makes no order known."""
    connection = connection_of(event)
    if connection is None or not event.subject:
        return "no active connection"
    return "" if wake_known(event, connection) else "not ours"


def wake_known(event: InboxEvent, connection: Connection) -> set[int]:
    """Wake the order, also in a store that the TikTok shop fed before. Returns the connections that know it.

    That its address changed is kept with the order by the same statement: events are shuffled, repeated and purged.
    """
    now = timezone.now()
    told = [now, now, address_told_at(event), event.subject, connection.tiktok_shop_id]
    known = sql.rows(WAKE_KNOWN, told)
    for shop_id in {shop_id for _, shop_id in known} - {connection.shop_id}:
        wake.shop(shop_id)
    return {connection_id for connection_id, _ in known}


def address_told_at(event: InboxEvent) -> datetime | None:
    """When the recipient's address changed, by TikTok's clock; None where the event is about something else."""
    if event.topic != "RECIPIENT_ADDRESS_UPDATE":
        return None
    return address_changed_at(event.facts) or event.triggered_at or event.received_at


def tiktok_packages(event: InboxEvent) -> str:
    """Orders were combined, split or parted again: their parcels may travel differently now."""
    ids = event.facts.get("order_ids", [])
    for order in Order.objects.filter(shop=event.owner, tiktok_id__in=ids):
        order.wake()
        wake_all(order.parcels.filter(reason="number_in_use"))
    return ""


def tiktok_deauthorized(event: InboxEvent) -> str:
    """Stop at once and forget the tokens; unless the seller agreed again after the event, which may come late and more
    than once.
    """
    connection = connection_of(event)
    if connection is None:
        return "no connection"
    seller = Seller.objects.get(shops=connection.tiktok_shop)
    granted_at = seller.granted_at
    # TikTok's times are whole seconds.
    if event.triggered_at and granted_at and event.triggered_at < granted_at.replace(microsecond=0):
        return "older than the grant"
    connection.pause(Pause.TIKTOK_ACCESS_LOST, "The seller removed the app in TikTok Shop.")
    if not lives_on(seller, but=connection):
        seller.revoke()
    return ""


def lives_on(seller: Seller, but: Connection) -> bool:
    """Whether another connection works with the seller's tokens: each shop that is taken back rings for itself."""
    others = Connection.objects.filter(tiktok_shop__seller=seller, active=True).exclude(pk=but.pk)
    return others.exclude(paused_reason=Pause.TIKTOK_ACCESS_LOST).exists()


def tiktok_expiring(event: InboxEvent) -> str:
    """The grant is the seller's. A pair of tokens says its end too, so the newest word counts."""
    connection = connection_of(event)
    if connection is None or not (ends_at := grant_ends_at(event.facts)):
        return ""
    seller = Seller.objects.filter(pk=connection.tiktok_shop.seller_id)
    if event.triggered_at:  # in whole seconds
        seller = seller.filter(granted_at__lt=event.triggered_at + timedelta(seconds=1))
    told = seller.update(refresh_expires_at=ends_at)
    return "" if told else "older than the grant"


def connection_of(event: InboxEvent) -> Connection | None:
    """The connection of the TikTok shop that the event names; of an event that names none, the shop's only one."""
    named = event.facts.get("shop_id")
    mine = [one for one in connections_of(event) if not named or one.tiktok_shop.shop_id == named]
    found = max(mine, key=lambda one: (one.active, one.pk), default=None)
    return copy(found) if found else None


def connections_of(event: InboxEvent) -> Sequence[Connection]:
    if event.connections is not None:
        return event.connections
    return list(Connection.objects.filter(shop=event.owner).select_related("tiktok_shop"))


# ---- Shopify -------------------------------------------------------------------------------------


def fulfillment(event: InboxEvent) -> str:
    """A fulfillment of an order of ours becomes parcels; one of an unknown order is looked up a few times more."""
    gid = event.facts.get("order_id", "")
    found = sql.find(Order, "shop_id = %s AND order_gid = %s", [event.owner.pk, gid]) if gid else []
    if not found:
        return look_up_again(event)
    [order] = found
    if parcels.being_sent(event.subject):
        raise Later(timezone.now() + FOR_A_MAKER)
    asked_at = timezone.now()
    now = shopify_for(event.owner).get_fulfillment(event.subject)
    if now is None:
        return "gone"
    try:
        return "" if parcels.take(order, now, asked_at) else "an older reading"
    except parcels.BeingSent:
        raise Later(timezone.now() + FOR_A_MAKER) from None


def look_up_again(event: InboxEvent) -> str:
    """Our table only: the order's id may be on its way into it."""
    looks = event.facts.get("looks", 0)
    if looks >= len(settings.UNKNOWN_FULFILLMENT_WAITS):
        return "not ours"
    wait = settings.UNKNOWN_FULFILLMENT_WAITS[looks]
    raise Later(timezone.now() + wait, facts=event.facts | {"looks": looks + 1}, live=False)


def draft_created(event: InboxEvent) -> str:
    """Our own, seen from outside: it brings home a draft whose answer was lost, without the lagging search."""
    order = order_by_tag(event)
    if order is None:
        return "not ours"
    if order.draft_gid == event.subject:
        return "echo"
    if order.leased_until and order.leased_until > timezone.now():
        raise Later(timezone.now() + FOR_A_MAKER)
    if order.draft_gid or order.state != OrderState.RECEIVED:
        return extra_draft(order, event)
    if order.create_sent_at is None:
        return "not made by us"
    wake_all(Order.objects.filter(pk=order.pk, draft_gid=""), draft_gid=event.subject)
    return "adopted"


def extra_draft(order: Order, event: InboxEvent) -> str:
    """A draft that its order does not need: of ours when more creates were sent than drafts are known, else a
    person's copy, which stays.
    """
    if order.create_tries <= bool(order.draft_gid):
        return "not made by us"
    if shopify_for(event.owner).delete_draft(event.subject):
        order.wrote("draftOrderDelete", draft=event.subject, why="extra")
    return "extra draft deleted"


def draft_changed(event: InboxEvent) -> str:
    where = "shop_id = %s AND draft_gid = %s AND draft_gid <> ''"
    found = sql.find(Order, where, [event.owner.pk, event.subject], only=["state", "draft_updated_at"])
    if not found:
        return draft_created(event)
    [order] = found
    at = moment(event.facts.get("updated_at"))
    if order.draft_updated_at and at and at <= order.draft_updated_at:
        return "echo"
    if order.state == OrderState.ON_HOLD:
        order.wake(draft_touched=True)
    return ""


def draft_deleted(event: InboxEvent) -> str:
    for order in Order.objects.filter(shop=event.owner, draft_gid=event.subject, state=OrderState.ON_HOLD):
        order.wake(draft_touched=True)
    return ""


def order_changed(event: InboxEvent) -> str:
    order_id = event.facts.get("order_id") or event.subject
    for order in Order.objects.filter(shop=event.owner, order_gid=order_id, state__in=IN_SHOPIFY):
        order.wake(order_touched=True)
    return ""


def product_created(event: InboxEvent) -> str:
    """What waits for one of its SKUs finds it, as soon as Shopify's search does."""
    waiting = matching.waiting_for_skus(Order.objects.filter(shop=event.owner))
    skus = waiting if event.facts.get("more") else waiting.keys() & event.facts.get("skus", ())
    if not skus:
        return "nobody waits for it"
    if (found_at := event.received_at + FOR_THE_SEARCH) > timezone.now():
        raise Later(found_at)
    matching.wake_waiting(waiting, skus)
    return ""


def product_deleted(event: InboxEvent) -> str:
    """Links are confirmed by id at each use; of several variants with one SKU, one may be left."""
    wake_all(Order.objects.filter(ASKING, shop=event.owner, reason="sku_conflict"))
    return ""


def uninstalled(event: InboxEvent) -> str:
    """Stop at once, forget the tokens; unless the shop came back after the event."""
    with transaction.atomic():  # whoever installs it again finds both
        if event.owner.uninstall(event.triggered_at):
            for connection in Connection.objects.filter(shop=event.owner):
                connection.pause(Pause.UNINSTALLED)
    return ""


def scopes_changed(event: InboxEvent) -> str:
    """Events come in any order: what is granted now says Shopify (contract 4.4)."""
    if event.owner.uninstalled_at:
        return "uninstalled"
    event.owner.read_installation(session())
    if not event.owner.missing_scopes():
        lost = Connection.objects.filter(shop=event.owner, paused_reason=Pause.SHOPIFY_ACCESS_LOST)
        for connection in lost:
            connection.resume()
    return ""


def redact_shop(event: InboxEvent) -> str:
    """48 hours after the uninstall: nothing of the shop stays, but the word that it was done."""
    shop, asked_at = event.owner, timezone.now()
    if shop.uninstalled_at is None and (came_back(event) or not shop.uninstall(asked_at)):
        return "the shop came back"
    for rows in (Order.objects.filter(shop=shop), InboxEvent.objects.filter(shop=shop).exclude(pk=event.pk)):
        while forget(rows):
            event.keep()  # a shop may have a million orders: whoever dies here is followed by the next worker
    with transaction.atomic():
        InboxEvent.objects.filter(pk=event.pk).update(
            shop=None, facts={}, subject="", due_at=None, done_at=timezone.now(), outcome="redacted"
        )
        forget_shop(shop)
    event.shop = None
    return "redacted"


def came_back(event: InboxEvent) -> bool:
    """Whether a shop of whose uninstall we do not know is installed: the word of it may be lost, or come later. Only
    an answer of Shopify's, or a grant that is younger than the uninstall, says that it is."""
    shop = event.owner
    told_at = min(event.triggered_at or event.received_at, event.received_at)
    if shop.installed_at and shop.installed_at > told_at - REDACTED_AFTER:
        return True
    try:
        return shop.lets_us_in(session())
    except (shopify_app.errors.Rejected, shopify_app.errors.Unavailable):
        if timezone.now() - event.received_at > REDACTED_WITHIN:
            return False  # Shopify's word stands
        raise Later(timezone.now() + REDACT_ASKS_AGAIN) from None


def forget_shop(shop: Shop) -> None:
    sellers = {
        c.tiktok_shop.seller
        for c in Connection.objects.filter(shop=shop).select_related("tiktok_shop__seller")
    }
    Connection.objects.filter(shop=shop).delete()
    for seller in sellers:
        if not Connection.objects.filter(tiktok_shop__seller=seller).exists():
            seller.shops.all().delete()
            seller.delete()
    InboxEvent.objects.filter(shop=shop).delete()
    shop.delete()


def customer_data(event: InboxEvent) -> str:
    """We hold nothing of a customer: order ids, and what TikTok's goods cost. The request is recorded with them."""
    orders = Order.objects.filter(shop=event.owner, order_gid__in=event.facts.get("orders", []))
    return f"{orders.count()} orders known; no personal data held"


def redact_customer(event: InboxEvent) -> str:
    orders = Order.objects.filter(shop=event.owner, order_gid__in=event.facts.get("orders", []))
    OrderLog.objects.bulk_create(
        [OrderLog(order=order, what="redacted", new=order.state) for order in orders]
    )
    return f"{len(orders)} orders; no personal data held"


def order_by_tag(event: InboxEvent) -> Order | None:
    """The order whose `tts-` tag the event carries, among the shop's own."""
    ids = [
        tag.removeprefix(mapping.ID_TAG)
        for tag in event.facts.get("tags", [])
        if tag.startswith(mapping.ID_TAG)
    ]
    where = "shop_id = %s AND tiktok_id = ANY(%s) ORDER BY id DESC LIMIT 1"
    return next(iter(sql.find(Order, where, [event.owner.pk, ids])), None) if ids else None


def moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


MEANINGS: dict[tuple[str, str], Callable[[InboxEvent], str]] = {
    ("tiktok", "ORDER_STATUS_CHANGE"): tiktok_order,
    ("tiktok", "RECIPIENT_ADDRESS_UPDATE"): tiktok_order,
    ("tiktok", "CANCELLATION_STATUS_CHANGE"): tiktok_order,
    ("tiktok", "RETURN_STATUS_CHANGE"): tiktok_return,
    ("tiktok", "PACKAGE_UPDATE"): tiktok_packages,
    ("tiktok", "SELLER_DEAUTHORIZATION"): tiktok_deauthorized,
    ("tiktok", "UPCOMING_AUTHORIZATION_EXPIRATION"): tiktok_expiring,
    ("shopify", "fulfillments/create"): fulfillment,
    ("shopify", "fulfillments/update"): fulfillment,
    ("shopify", "draft_orders/create"): draft_created,
    ("shopify", "draft_orders/update"): draft_changed,
    ("shopify", "draft_orders/delete"): draft_deleted,
    ("shopify", "orders/cancelled"): order_changed,
    ("shopify", "orders/updated"): order_changed,
    ("shopify", "orders/delete"): order_changed,
    ("shopify", "refunds/create"): order_changed,
    ("shopify", "products/create"): product_created,
    ("shopify", "products/delete"): product_deleted,
    ("shopify", "app/uninstalled"): uninstalled,
    ("shopify", "app/scopes_update"): scopes_changed,
    ("shopify", "customers/data_request"): customer_data,
    ("shopify", "customers/redact"): redact_customer,
    ("shopify", "shop/redact"): redact_shop,
}
