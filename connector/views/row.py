"""An order as a row of the list shows it: words, nothing to look up any more. Pure.

The template asks for 50 of them at a time, and a filter, an include or a translation in it costs as much as a query.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse
from django.utils.dates import MONTHS_3
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from connector.deadlines import answer_by, ship_by, urgency
from connector.listing import Page
from connector.models import Order, Parcel
from connector.reasons import reason
from connector.states import OrderState, ParcelState
from connector.templatetags.connector_words import asks, money, number, tone

URGENCIES = {"overdue": "critical", "soon": "warning", "today": "caution"}  # tone of the badge


@dataclass(frozen=True, slots=True)
class Badge:
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class Time:
    iso: str
    words: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person is asked for, by the order or by one of its parcels, and how near its deadline is."""

    title: str
    figures: str
    do: str
    urgency: Badge | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    number: str
    carrier: str
    badge: Badge


@dataclass(frozen=True, slots=True)
class Row:
    pk: str
    path: str
    tiktok_id: str
    shop: str  # the TikTok shop's name; empty where there is only one
    shopify: tuple[str, str]  # path in the admin and words of the link; empty without one
    badge: Badge
    asks: list[Ask]
    quiet: str
    ship_by: Time | None
    urgency: Badge | None
    placed: Time | None
    total: str
    trackings: list[Tracking]


def rows_of(page: Page, shops: Mapping[int, str], now: datetime) -> list[Row]:
    """`shops`: the names of the TikTok shops by connection, where there are several."""
    above = reverse("orders")  # once: to look up the address of each costs more than all else of its row
    return [
        row_of(order, page.parcels.get(order.pk, ()), shops.get(order.connection_id, ""), above, now)
        for order in page.orders
    ]


def row_of(order: Order, parcels: Sequence[Parcel], shop: str, above: str, now: datetime) -> Row:
    wanted = ship_by(order)
    near = urgency(wanted, now)
    return Row(
        pk=str(order.pk),  # a number would be written for its locale, at five times the cost
        path=f"{above}/{order.pk}",
        tiktok_id=order.tiktok_id,
        shop=shop,
        shopify=shopify_of(order),
        badge=badge_of(order),
        asks=[asked_by(order, now)] * asks(order) + [ask_of(parcel) for parcel in parcels if parcel.reason],
        quiet=quiet_of(order),
        ship_by=time_of(wanted),
        urgency=badge_for(near),
        placed=time_of(order.placed_at),
        total=money(order.expected_total, order.currency),
        trackings=[
            Tracking(parcel.number, parcel.provider_name or parcel.company, badge_of(parcel))
            for parcel in parcels
        ],
    )


def shopify_of(order: Order) -> tuple[str, str]:
    if order.order_gid:
        return f"orders/{number(order.order_gid)}", order.order_name or number(order.order_gid)
    if order.draft_gid and order.state == OrderState.ON_HOLD:  # afterwards it is gone
        words = _("Draft %(name)s") % {"name": order.draft_name}
        return f"draft_orders/{number(order.draft_gid)}", words
    return "", ""


def badge_of(row: Order | Parcel) -> Badge:
    states = OrderState if isinstance(row, Order) else ParcelState
    return Badge(tone(row.state), str(states(row.state).label))


def asked_by(order: Order, now: datetime) -> Ask:
    near = urgency(answer_by(order), now) if order.reason == "cancel_requested" else ""
    return replace(ask_of(order), urgency=badge_for(near))


def badge_for(near: str) -> Badge | None:
    return Badge(URGENCIES[near], urgency_words(near)) if near else None


def ask_of(row: Order | Parcel) -> Ask:
    words = reason(row.reason)
    return Ask(str(words.title), words.told(row.detail), str(words.do))


def quiet_of(order: Order) -> str:
    """Why a rule keeps it out, or until when TikTok does."""
    if order.reason:
        return "" if asks(order) else str(reason(order.reason).title)
    if order.state == OrderState.ON_HOLD and order.release_at:
        return _("TikTok holds it until about %(at)s") % {"at": minute(localtime(order.release_at))}
    return ""


def urgency_words(near: str) -> str:
    if near == "overdue":
        return _("Overdue")
    return _("Within 12 hours") if near == "soon" else _("Within 24 hours")


def time_of(at: datetime | None) -> Time | None:
    if at is None:
        return None
    here = localtime(at)
    return Time(here.isoformat(), minute(here))


def minute(here: datetime) -> str:
    """As `date:"M j, H:i"` writes it, at a fifth of the cost."""
    return f"{MONTHS_3[here.month].title()} {here.day}, {here:%H:%M}"
