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
from django.db.models import F, Q
from django.template.loader import render_to_string
from django.utils import timezone

from connector.models import Alert, Connection, Order, Parcel
from connector.states import IN_SHOPIFY, OrderState, ParcelState

log = logging.getLogger(__name__)

STUCK = timedelta(minutes=15)  # so long after their time rows should have been worked on
# How near TikTok's deadline is; the nearer one is said again.
NEAR = (("4", timedelta(hours=4)), ("12", timedelta(hours=12)))
FORGOTTEN = timedelta(days=3)  # a deadline that was missed so long ago is news to nobody
MOST = 500  # causes of one kind, the most urgent first
SHOWN = 20  # in one mail
MOST_TRIES = 5  # to send a mail

mailer = ThreadPoolExecutor(
    max_workers=1, thread_name_prefix="alerts"
)  # a slow mail server must not stop the clock


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
    lost = active.filter(paused_reason__in=["tiktok_access_lost", "shopify_access_lost"])
    for pk, reason in lost.values_list("pk", "paused_reason"):
        yield Cause(pk, "paused", reason)
    working = active.filter(paused_reason="").values("pk")
    for pk in sorted(stuck(working, now - STUCK)):
        yield Cause(pk, "stuck")
    for pk, tiktok_id, at in untold(working, now):
        yield Cause(pk, f"tracking_{nearest(at, now)}", tiktok_id)
    for pk, tiktok_id, at in unshipped(working, now):
        yield Cause(pk, f"deadline_{nearest(at, now)}", tiktok_id)


def stuck(working: Any, before: datetime) -> set[int]:
    """Connections with rows that have been due for long and that nobody has taken."""
    orders = Order.due().filter(due_at__lt=before, connection__in=working)
    parcels = Parcel.due().filter(due_at__lt=before, order__connection__in=working)
    pulls = Connection.due().filter(due_at__lt=before, pk__in=working)
    found = set(orders.order_by().values_list("connection", flat=True).distinct()[:MOST])
    found |= set(parcels.order_by().values_list("order__connection", flat=True).distinct()[:MOST])
    return found | set(pulls.values_list("pk", flat=True)[:MOST])


def untold(working: Any, now: datetime) -> list[tuple[int, str, datetime]]:
    """Orders with a number that TikTok does not have, whose deadline is near."""
    waiting = Parcel.objects.filter(
        ~Q(reason=""), state=ParcelState.WAITING, order__connection__in=working, order__state__in=IN_SHOPIFY
    )
    near = waiting.filter(**within("order__ship_by_at", now)).order_by("order__ship_by_at")
    found: Any = near.values_list("order__connection", "order__tiktok_id", "order__ship_by_at")[:MOST]
    return list(found)


def unshipped(working: Any, now: datetime) -> list[tuple[int, str, datetime]]:
    """Orders to ship without a number, and orders that wait for a person, whose deadline is near."""
    mine = Order.objects.filter(connection__in=working, **within("ship_by_at", now)).order_by("ship_by_at")
    to_ship = mine.filter(state=OrderState.FINALIZED).exclude(parcels__state=ParcelState.WAITING)
    asking = mine.filter(~Q(reason=""), state__in=[OrderState.RECEIVED, OrderState.ON_HOLD])
    columns = ("connection", "tiktok_id", "ship_by_at")
    return [*to_ship.values_list(*columns)[:MOST], *asking.values_list(*columns)[:MOST]]


def within(column: str, now: datetime) -> dict[str, datetime]:
    return {f"{column}__lte": now + NEAR[-1][1], f"{column}__gt": now - FORGOTTEN}


def nearest(at: datetime, now: datetime) -> str:
    return next(name for name, distance in NEAR if at - now <= distance)


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
    keys = list(untold.values_list("pk", flat=True))
    if not untold.filter(pk__in=keys).update(told_at=now):
        return
    taken = Alert.objects.filter(pk__in=keys)
    try:
        send_mail(*letter(connection, list(taken)), settings.EMAIL_FROM, [connection.policy.alert_email])
    except (SMTPException, OSError) as error:
        log.warning("no mail", extra={"connection": connection.pk, "error": type(error).__name__})
        taken.update(told_at=None, tries=F("tries") + 1)


def letter(connection: Connection, alerts: list[Alert]) -> tuple[str, str]:
    """Subject and text."""
    orders = Order.objects.filter(connection=connection, tiktok_id__in=[one.subject for one in alerts])
    deadlines = dict(orders.values_list("tiktok_id", "ship_by_at"))
    listed = sorted(alerts, key=lambda one: (one.kind, one.subject))
    context = {
        "name": connection.tiktok_shop.name,
        "alerts": [(one, deadlines.get(one.subject)) for one in listed[:SHOWN]],
        "more": max(0, len(listed) - SHOWN),
        "address": f"{settings.SHOPIFY_ADMIN_URL}/store/{connection.shop.domain.split('.')[0]}"
        f"/apps/{settings.SHOPIFY_APP_HANDLE}",
    }
    with timezone.override(connection.shop.zone):
        text = render_to_string("connector/alert.txt", context)
    subject, _, body = text.strip().partition("\n")
    return subject, body.strip() + "\n"
