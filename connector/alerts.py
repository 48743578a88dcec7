"""What a merchant should hear of although nobody looks at a page: said once for each cause, forgotten when it is over.

The clock compares what stands against each connection with the rows of `Alert`. What is new goes into the log, the
metric and, where the merchant gave an address and the installation can send mail, into one mail for a connection. A
mail names shops, TikTok order numbers and times: nothing of a buyer.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import connections as databases
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from connector.deadlines import pressing
from connector.embedded import app_in_admin
from connector.models import (
    CONNECTION_OF,
    GRANT_WARNING,
    LIVING,
    ROWS,
    Alert,
    Connection,
    Order,
    Parcel,
)
from connector.states import CAUSED_BY_A_PLATFORM, OrderState, ParcelState

log = logging.getLogger(__name__)

Connections = QuerySet[Connection]

# Which of an order's deadlines is near.
KINDS = {
    "cancel_due_at": "unanswered",
    "ship_by_at": "deadline",
    "hand_over_by_at": "scan",
    "ship_due_at": "unshipped",
    "collection_due_at": "uncollected",
    "delivery_due_at": "undelivered",
}
TRACKING = "tracking"  # the ship-by time, of an order whose number TikTok does not have
GRANT = "grant"  # TikTok's permission, which nothing but a new consent renews
COLUMNS = {kind: column for column, kind in KINDS.items()} | {
    TRACKING: "ship_by_at",
    GRANT: "permission_ends_at",
}
STUCK = timedelta(minutes=15)  # so long after their time, or after their first failure, rows should be done
HELD_BY_TIKTOK = ("UNPAID", "ON_HOLD")  # its words for what nobody may ship yet
# How near TikTok's deadline is; the nearer one is said again.
NEAR = (("4", timedelta(hours=4)), ("12", timedelta(hours=12)))
GRANT_NEAR = (("7", timedelta(days=7)), ("30", GRANT_WARNING))
FORGOTTEN = timedelta(days=3)  # a deadline that was missed so long ago is news to nobody
SHOWN = 20  # in one mail
MOST_TRIES = 5  # to send a mail

# a slow mail server must not stop the clock
mailer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts")


@dataclass(frozen=True, slots=True)
class Cause:
    """`subject` is the TikTok order, or the reason of a pause. Equal causes are one alert."""

    connection_id: int
    kind: str
    subject: str = ""


def watch(now: datetime) -> Future[None] | None:
    """Remember what is new, forget what is over, and have the merchants told."""
    standing = set(causes(now))
    told = Alert.objects.values_list("pk", "connection", "kind", "subject")
    known = {Cause(connection, kind, subject): pk for pk, connection, kind, subject in told}
    fresh = standing - known.keys()
    Alert.objects.bulk_create(
        [
            Alert(connection_id=one.connection_id, kind=one.kind, subject=one.subject, since=now)
            for one in fresh
        ],
        ignore_conflicts=True,
    )
    Alert.objects.filter(pk__in=[known[one] for one in known.keys() - standing]).delete()
    for (connection_id, kind), n in Counter((one.connection_id, one.kind) for one in fresh).items():
        log.warning("alert", extra={"connection": connection_id, "alert": kind, "causes": n})
    return mailer.submit(tell, now) if settings.EMAIL_URL else None


# ---- what stands against the connections ----


def causes(now: datetime) -> Iterator[Cause]:
    active = Connection.objects.filter(active=True)
    # A person who pauses or uninstalls knows of it.
    lost = active.filter(paused_reason__in=CAUSED_BY_A_PLATFORM)
    for pk, reason in lost.values_list("pk", "paused_reason"):
        yield Cause(pk, "paused", reason)
    working = active.filter(paused_reason="")
    for pk in stuck(working, now - STUCK):
        yield Cause(pk, "stuck")
    rivals = working.exclude(other_connector={}).filter(other_connector_accepted_at=None)
    for pk in rivals.values_list("pk", flat=True):
        yield Cause(pk, "rival")
    ends = "tiktok_shop__seller__refresh_expires_at"
    ending = working.filter(**{f"{ends}__lte": now + GRANT_WARNING})
    for pk, at in ending.values_list("pk", ends):
        yield Cause(pk, f"{GRANT}_{nearest(at, now, GRANT_NEAR)}")
    for order in near_a_deadline(working, now):
        for deadline in pressing(order, now - FORGOTTEN, now, now + NEAR[-1][1]):
            kind = TRACKING if order.refused and deadline.name == "ship_by_at" else KINDS[deadline.name]
            yield Cause(order.connection_id, f"{kind}_{nearest(deadline.at, now, NEAR)}", order.tiktok_id)


def stuck(working: Connections, before: datetime) -> list[int]:
    """Connections with rows of any kind that nobody has taken for long, or that have failed for as long."""
    connections: set[int] = set()
    shops: set[int] = set()
    for kind in ROWS.values():
        names, found = (CONNECTION_OF[kind], connections) if kind in CONNECTION_OF else ("shop", shops)
        for late in (kind.due().filter(due_at__lt=before), kind.failing().filter(failing_since__lt=before)):
            found.update(late.order_by().values_list(names, flat=True).distinct())
    late_ones = working.filter(Q(pk__in=connections) | Q(shop__in=shops))
    return list(late_ones.order_by("pk").values_list("pk", flat=True))


def near_a_deadline(working: Connections, now: datetime) -> QuerySet[Any]:
    """Orders that may miss a deadline, but for those that TikTok holds and those whose number is on its way to it:
    neither of them while it only fails. All of them: one that is left out for the others is no less late.
    """
    near = Q()
    for name in KINDS:
        near |= Q(**{f"{name}__gt": now - FORGOTTEN, f"{name}__lte": now + NEAR[-1][1]})
    late = Q(due_at__lt=now - STUCK) | Q(failing_since__lt=now - STUCK)
    waiting = Parcel.objects.filter(order=OuterRef("pk"), state=ParcelState.WAITING)
    refused = Exists(waiting.filter(~Q(reason="") | Q(due_at=None) | late))
    held = Q(state__in=[OrderState.RECEIVED, OrderState.ON_HOLD], tiktok_status__in=HELD_BY_TIKTOK, reason="")
    coming = Q(state=OrderState.FINALIZED, refused=False) & Exists(waiting)
    mine = Order.objects.filter(LIVING, near, connection__in=working.values("pk"))
    told = mine.annotate(refused=refused).exclude(held & ~late).exclude(coming)
    columns = ("connection_id", "tiktok_id", "state", "tiktok_status", "release_at", *KINDS)
    return told.only(*columns)


def nearest(at: datetime, now: datetime, steps: tuple[tuple[str, timedelta], ...]) -> str:
    return next(name for name, distance in steps if at - now <= distance)


# ---- mail ----


def tell(now: datetime) -> None:
    """One mail to each merchant who wants it, with all that is new. A thread's work: it closes its connection."""
    try:
        untold = Alert.objects.filter(told_at=None, tries__lt=MOST_TRIES)
        for connection in Connection.objects.filter(pk__in=untold.values("connection")):
            if connection.policy.alert_email:
                mail(connection, now)
    except Exception:
        log.exception("alerts could not be told")
    finally:
        databases.close_all()


def mail(connection: Connection, now: datetime) -> None:
    """Taken before it is sent, so that two clocks tell it once; given back when the mail server did not take it."""
    untold = Alert.objects.filter(connection=connection, told_at=None, tries__lt=MOST_TRIES)
    untold.update(told_at=now)
    ours = list(Alert.objects.filter(connection=connection, told_at=now))
    if not ours:
        return
    try:
        send_mail(*letter(connection, ours), settings.EMAIL_FROM, [connection.policy.alert_email])
    except (SMTPException, OSError) as error:
        log.warning("no mail", extra={"connection": connection.pk, "error": type(error).__name__})
        given_back = Alert.objects.filter(pk__in=[one.pk for one in ours])
        given_back.update(told_at=None, tries=F("tries") + 1)


def letter(connection: Connection, alerts: list[Alert]) -> tuple[str, str]:
    """Subject and text."""
    about = Order.objects.filter(connection=connection, tiktok_id__in=[one.subject for one in alerts])
    orders = {order.tiktok_id: order for order in about}
    listed = sorted(alerts, key=lambda one: (one.kind, one.subject))
    context = {
        "name": connection.tiktok_shop.name,
        "alerts": [(one, *said(one, orders.get(one.subject) or connection)) for one in listed[:SHOWN]],
        "more": max(0, len(listed) - SHOWN),
        "address": app_in_admin(connection.shop.domain),
    }
    with timezone.override(connection.shop.zone):
        text = render_to_string("connector/alert.txt", context)
    subject, _, body = text.strip().partition("\n")
    return subject, body.strip() + "\n"


def said(alert: Alert, about: Order | Connection) -> tuple[str, datetime | None]:
    """What the alert is about, and the deadline if it is about one."""
    kind = alert.kind.partition("_")[0]
    return kind, getattr(about, COLUMNS.get(kind, ""), None)
