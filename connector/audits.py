"""A day compared with both shops, order by order: what is missing on any side, and what differs.

An audit is a row of work, a page a step: TikTok's orders of the day, then Shopify's (counterparts.py). The clock asks
for yesterday, a person for any day. What it finds it also sets right where one more look can: orders that we missed
become rows, and rows that differ are looked at again. Its findings are kept.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F
from django.utils import timezone

from connector import counterparts, mapping, pulls
from connector.counterparts import Difference, Finding, finding
from connector.models import RESTS_IN_PAUSE, Audit, Connection, Order
from connector.platforms import shopify_for, tiktok_for
from connector.states import OrderState
from connector.wake import bell
from shopify_app.models import Shop
from tiktok.orders import Order as Source

DAILY_FROM = 3  # o'clock where the shop is: yesterday's last events have come in
DAILY_TRIES = 5  # of a day whose comparison ends with words
TRY_AGAIN = timedelta(hours=1)
MADE_UP_FOR = timedelta(days=7)  # days that were missed while a connection was paused, or the clock away
MOST_FINDINGS = 500  # kept one by one; a day that is worse than that is told by its first


def ask(shop: Shop, day: date, zone: ZoneInfo, by: str) -> None:
    """Have a day of every active connection read again. One that is being read already is left alone."""
    for connection in Connection.objects.filter(shop=shop, active=True):
        if not Audit.objects.filter(shop=shop, connection=connection, day=day, finished_at=None).exists():
            begin(connection, day, zone, by, timezone.now())
    bell.ring(shop.pk)


def begin(connection: Connection, day: date, zone: ZoneInfo, by: str, now: datetime) -> None:
    since, until = bounds(day, zone)
    Audit.objects.create(
        shop_id=connection.shop_id,
        connection=connection,
        day=day,
        since=since,
        until=until,
        by=by,
        asked_at=now,
        due_at=now,
    )


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When a day begins and ends in a zone; it may have 23 or 25 hours."""
    return (
        datetime.combine(day, time.min, tzinfo=zone),
        datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone),
    )


def ask_daily(now: datetime) -> None:
    """Have yesterday read again, once it is over for a while where the shop is; and what of the last days came to
    nothing."""
    for connection in Connection.objects.filter(active=True, paused_reason="").select_related("shop"):
        here = now.astimezone(connection.shop.zone)
        if here.hour < DAILY_FROM:
            continue
        for day in owed(connection, here.date() - timedelta(days=1), now):
            begin(connection, day, connection.shop.zone, by="", now=now)
            bell.ring(connection.shop_id)


def owed(connection: Connection, yesterday: date, now: datetime) -> list[date]:
    """The days that nobody compares, or has compared, since they were over: yesterday, and those since the clock last
    asked. A day that was read while it lasted is not whole."""
    late = Audit.objects.filter(
        shop=connection.shop_id,
        connection=connection,
        day__gt=yesterday - MADE_UP_FOR,
        day__lte=yesterday,
        asked_at__gte=F("until"),
    )
    tries: dict[date, list[Audit]] = {}
    for audit in late.only("day", "by", "words", "finished_at", "asked_at"):
        tries.setdefault(audit.day, []).append(audit)
    first = min((day for day, found in tries.items() if by_the_clock(found)), default=yesterday)
    days = [first + timedelta(days=n) for n in range((yesterday - first).days + 1)]
    return [day for day in days if wanted(tries.get(day, []), now)]


def wanted(tries: list[Audit], now: datetime) -> bool:
    """What ended with words, for a pause or a refusal, is tried again a few times."""
    if any(not audit.words for audit in tries):
        return False
    ours = by_the_clock(tries)
    return not ours or (len(ours) < DAILY_TRIES and now - max(ours) >= TRY_AGAIN)


def by_the_clock(tries: Iterable[Audit]) -> list[datetime]:
    return [audit.asked_at for audit in tries if not audit.by]


def advance(audit: Audit) -> None:
    """Read and compare one page."""
    if audit.connection.paused:
        return audit.park(RESTS_IN_PAUSE)
    return read_shopify(audit) if audit.of_shopify else read_tiktok(audit)


def read_tiktok(audit: Audit) -> None:
    """One page of TikTok's; after the last one, look for what TikTok did not name, and go on with Shopify's."""
    connection = audit.connection
    page = tiktok_for(connection, live=False).search_orders_placed(audit.since, audit.until, audit.page)
    tell(audit, compare(connection, page.orders))
    pulls.store_orders(connection, page.orders)
    seen = [*audit.seen, *(source.id for source in page.orders)]
    facts: dict[str, Any] = {"read": len(seen), "total": max(page.total_count, len(seen))}
    if page.next_page_token:
        return audit.succeed(timezone.now(), seen=seen, page=page.next_page_token, **facts)
    tell(audit, missing_there(audit, seen))
    if not counterparts.readable(audit.since):
        return finish(audit, **facts)
    return audit.succeed(timezone.now(), seen=[], page="", of_shopify=True, **facts)


def read_shopify(audit: Audit) -> None:
    """One page of the Shopify orders made that day; after the last one, look for what Shopify did not name."""
    shopify = shopify_for(audit.shop, live=False)
    page = shopify.search_orders_created(mapping.SHOP_TAG, audit.since, audit.until, audit.page)
    tell(audit, counterparts.compare(audit, page.orders))
    seen = [*audit.seen, *(theirs.id for theirs in page.orders)]
    facts: dict[str, Any] = {"read_in_shopify": len(seen)}
    if page.has_next:
        return audit.succeed(timezone.now(), seen=seen, page=page.end_cursor, **facts)
    tell(audit, counterparts.compare_unseen(audit, seen))
    return finish(audit, **facts)


def finish(audit: Audit, **facts: Any) -> None:
    audit.succeed(None, seen=[], page="", finished_at=timezone.now(), **facts)


def tell(audit: Audit, news: Sequence[Difference]) -> None:
    """Keep what was found, then have it set right: after that nobody finds it, whoever dies in between least of all."""
    fresh = [one.told for one in news if one.told not in audit.findings]
    if fresh:
        audit.keep(findings=[*audit.findings, *fresh][:MOST_FINDINGS])
    for one in news:
        one.set_right()


def compare(connection: Connection, sources: Iterable[Source]) -> list[Difference]:
    """What differs between TikTok's orders and our rows."""
    by_id = {source.id: source for source in sources}
    known = {
        order.tiktok_id: order
        for order in Order.objects.filter(connection=connection, tiktok_id__in=list(by_id))
    }
    found = []
    for source in by_id.values():
        order = known.get(source.id)
        told = absent(connection, source) if order is None else differing(order, source)
        if told:
            found.append(Difference(told, order, ("draft_touched", "order_touched")))
    return found


def absent(connection: Connection, source: Source) -> Finding:
    """An order that has no row. It gets one, unless it was over before this connection began."""
    ours = pulls.ours_to_know(connection, source)
    return finding("missing_here" if ours else "before_connection", source.id, after=source.status)


def differing(order: Order, source: Source) -> Finding | None:
    if order.tiktok_status and order.tiktok_status != source.status:
        return finding("status", order.tiktok_id, order.tiktok_status, source.status)
    over = source.cancelled or order.state == OrderState.CANCELLED
    if order.money and not over and mapping.differences(order.money, source):
        total = mapping.expected_total(source, order.connection.policy)
        return finding("amounts", order.tiktok_id, str(order.expected_total), str(total))
    return None


def missing_there(audit: Audit, seen: list[str]) -> list[Difference]:
    """Orders of the day that TikTok did not name. One that came while we read may be behind the last page."""
    ours = Order.objects.filter(
        shop=audit.shop_id,
        connection=audit.connection,
        placed_at__gte=audit.since,
        placed_at__lt=audit.until,
        created_at__lt=audit.asked_at,
    )
    gone = ours.exclude(tiktok_id__in=seen)[:MOST_FINDINGS]
    return [
        Difference(finding("missing_there", order.tiktok_id, before=order.tiktok_status), order)
        for order in gone
    ]
