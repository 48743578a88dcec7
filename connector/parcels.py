"""The way back: a Shopify fulfillment becomes parcels, and each parcel's carrier and number go to TikTok, validated.

A number is kept until TikTok has accepted it; what is refused says why and waits for a person, and is never dropped.
"""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import tiktok.errors
from connector import carriers, rules, sql
from connector.models import Connection, Order, OrderLine, Parcel, rest_in_pause
from connector.platforms import shopify_for, tiktok_for
from connector.reading import read
from connector.states import ParcelState as State
from connector.waits import after_sale_due, hold_over
from connector.work import WOKEN, Later, NotYet
from shopify_app.orders import Fulfillment
from tiktok.errors import ShippingFault, shipping_fault
from tiktok.orders import Order as Source
from tiktok.orders import Shipment
from tiktok.records import Provider, Tracking

COMBINED_ORDERS = 20  # TikTok contract 5.1: at most so many orders share a number
PROVIDERS_FOR = 3600.0  # seconds; TikTok contract 5.3: cache for hours, refresh when TikTok refuses one
PROVIDERS_FRESH = 60.0  # seconds: so young a list is not what TikTok's refusal is about
FORMER = (State.REPLACED, State.WITHDRAWN)
NO_LONGER = ("CANCELLED", "ERROR", "FAILURE")
ORPHANED = "fulfillment_cancelled"  # the reason of a parcel that TikTok has and no fulfillment stands for
FURTHER = "several_numbers"
PUT_RIGHT = "correct tracking"  # a person's choice, as the log has it

TAKE_UNITS = """
UPDATE connector_orderline SET parcel_id = %s WHERE id IN (
    SELECT id FROM connector_orderline
    WHERE order_id = %s AND shopify_line_gid = %s AND NOT cancelled AND parcel_id IS NULL
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
"""
LINE_IDS = "SELECT shopify_line_gid FROM connector_orderline WHERE order_id = %s AND shopify_line_gid <> ''"
LOCK_ORDER = "SELECT FROM connector_order WHERE id = %s FOR UPDATE"
UNITS_TO_SHIP = "SELECT tiktok_line_id FROM connector_orderline WHERE parcel_id = %s AND NOT cancelled"
CARRIER_LINKS = "SELECT company, provider_id FROM connector_carrierlink WHERE connection_id = %s"
WAKE_SHORT = f"""
UPDATE connector_parcel SET {WOKEN} WHERE order_id = %s AND state = %s AND reason = 'too_few_units'
"""  # noqa: S608  (our own words)
BEING_SENT = """
SELECT EXISTS (
    SELECT FROM connector_parcel
    WHERE fulfillment_gid = %(gid)s AND (
        leased_until > %(now)s
        OR (state = %(waiting)s AND sent_at IS NOT NULL AND failing_since IS NOT NULL)))
"""
SAME_NUMBER = """
SELECT DISTINCT other.tiktok_id FROM connector_parcel parcel JOIN connector_order other ON other.id = parcel.order_id
WHERE parcel.number = %s AND other.connection_id = %s AND other.id <> %s AND parcel.state = ANY(%s)
  AND parcel.sent_at IS NOT NULL
ORDER BY other.tiktok_id
"""

# Of two readings of one fulfillment the later one counts: by Shopify's time of the change, which are whole seconds,
# then by when we asked. The row's lock lets one worker at a time change the order's parcels.
NEWEST_READING = """
UPDATE connector_order SET readings = readings || jsonb_build_object(%(gid)s::text, %(reading)s::jsonb)
WHERE id = %(order)s AND coalesce(readings -> %(gid)s::text, '[0, 0]') <= %(reading)s::jsonb
"""


class TooFewUnits(Exception):
    """More units than TikTok's order has left to ship."""


class BeingSent(Exception):
    """A worker has the parcel this moment: what it is about to send cannot be changed under its hands."""


# ---- from a fulfillment to parcels ---------------------------------------------------------------


@transaction.atomic
def take(order: Order, fulfillment: Fulfillment, asked_at: datetime) -> bool:
    """Make the order's parcels agree with a fulfillment as Shopify had it when asked. False: we know a later reading.

    Raises BeingSent.
    """
    if not newest(order, fulfillment, asked_at):
        return False
    where = "order_id = %s AND fulfillment_gid = %s ORDER BY id FOR UPDATE"
    known = sql.find(Parcel, where, [order.pk, fulfillment.id])
    if being_sent(fulfillment.id):
        raise BeingSent
    agree(order, fulfillment, known)
    return True


def newest(order: Order, fulfillment: Fulfillment, asked_at: datetime) -> bool:
    """Remember the reading, unless a later one of its fulfillment was remembered before."""
    reading = json.dumps([fulfillment.updated_at.timestamp(), asked_at.timestamp()])
    return bool(sql.change(NEWEST_READING, {"order": order.pk, "gid": fulfillment.id, "reading": reading}))


def agree(order: Order, fulfillment: Fulfillment, known: Sequence[Parcel]) -> None:
    if fulfillment.status in NO_LONGER:
        return withdraw(order, known)
    named = numbers_of(fulfillment)
    gone = [
        parcel
        for state in (State.WAITING, State.ACCEPTED)  # who waits has the units
        for parcel in known
        if parcel.state == state and parcel.number not in named
    ]
    for at, (number, company) in enumerate(named.items()):
        parcel = next((other for other in known if other.number == number), None)
        if parcel is not None and parcel.state in FORMER and gone and not put_right(parcel):
            come_back(parcel, company, replaces=gone.pop(0))
        elif parcel is not None:
            renew(parcel, company)
            revive(parcel, fulfillment, known)
        elif at == 0 or gone:
            make(order, fulfillment, number, company, replaces=gone.pop(0) if gone else None)
        else:
            keep_further(order, fulfillment, number, company)
    return None


def numbers_of(fulfillment: Fulfillment) -> dict[str, str]:
    """The cleaned numbers with their company; one empty number when there is none yet."""
    found = {
        number: tracking.company
        for tracking in fulfillment.tracking
        for number in carriers.split_numbers(tracking.number)
    }
    company = next((tracking.company for tracking in fulfillment.tracking), "")
    return found or {"": company}


def withdraw(order: Order, parcels: Iterable[Parcel]) -> None:
    """The fulfillment was cancelled: what TikTok has not heard of goes back, what it has is a person's matter."""
    for parcel in parcels:
        if parcel.state in (State.WAITING, State.KEPT):
            OrderLine.objects.filter(parcel=parcel).update(parcel=None)
            parcel.shift(State.WITHDRAWN, leased_until=None)
        elif parcel.state == State.ACCEPTED:
            Parcel.objects.filter(pk=parcel.pk).update(reason=ORPHANED)
            OrderLine.objects.filter(parcel=parcel).update(parcel=None)
            parcel.noted("asked", reason=ORPHANED)
    sql.change(WAKE_SHORT, [timezone.now(), timezone.now(), order.pk, State.WAITING])


def renew(parcel: Parcel, company: str) -> None:
    """The number is known; its company may be new, which is worth another try and newer than what a person chose."""
    if parcel.company != company:
        parcel.wake(company=company, chosen_provider="")


def revive(parcel: Parcel, fulfillment: Fulfillment, known: Sequence[Parcel]) -> None:
    """The fulfillment stands: what lacks its units, because it failed before or there were none left, seeks them."""
    if parcel.state == State.WITHDRAWN:
        if any(other.state in (State.WAITING, State.ACCEPTED) for other in known):
            return parcel.shift(State.KEPT, reason=FURTHER)
        parcel.shift(State.WAITING, due_at=timezone.now(), replaces_id=replaced_by(parcel))
    if parcel.state == State.WAITING and not parcel.units.exists():
        return fit_out(parcel, fulfillment)
    if parcel.state == State.ACCEPTED and parcel.reason == ORPHANED and not lack(parcel, fulfillment):
        Parcel.objects.filter(pk=parcel.pk).update(reason="", detail={})
    return None


def put_right(parcel: Parcel) -> bool:
    """A person gave the parcel another number in the app: Shopify's own, told again, does not undo that."""
    return parcel.log.filter(what="chose", call=PUT_RIGHT).exists()


def come_back(parcel: Parcel, company: str, replaces: Parcel) -> None:
    """Shopify has a former number again: it takes the place of the one that had taken its own."""
    standing = standing_package(replaces) or replaces
    parcel.shift(State.WAITING, due_at=timezone.now(), company=company, replaces_id=standing.pk, sent_at=None)
    give_way(replaces, parcel)


def make(order: Order, fulfillment: Fulfillment, number: str, company: str, replaces: Parcel | None) -> None:
    """A parcel with the units of the one that it replaces, or else with its fulfillment's."""
    fields = {
        "order": order,
        "shop_id": order.shop_id,
        "fulfillment_gid": fulfillment.id,
        "fulfillment_name": fulfillment.name,
        "fulfilled_at": fulfillment.updated_at,
        "number": number,
        "company": company,
    }
    if replaces is None:
        replaces = orphan(order)
    if replaces is None:
        return fit_out(Parcel.objects.create(**fields, due_at=timezone.now()), fulfillment)
    new = replace(replaces, **fields)
    return None if new.units.exists() else fit_out(new, fulfillment)


def replaced_by(parcel: Parcel) -> int | None:
    """The id of what a parcel takes the place of, by what TikTok has now."""
    standing = standing_package(parcel) or orphan(parcel.order)
    return standing.pk if standing else parcel.replaces_id


def orphan(order: Order) -> Parcel | None:
    """A parcel that TikTok has and whose fulfillment is gone: the next number corrects it."""
    where = "order_id = %s AND state = %s AND reason = %s ORDER BY id LIMIT 1"
    return next(iter(sql.find(Parcel, where, [order.pk, State.ACCEPTED, ORPHANED])), None)


def replace(old: Parcel, **fields: Any) -> Parcel:
    """Another number in the place of `old`, with its units.

    A number that TikTok never heard of goes at once; one that it accepted stands until it is corrected.
    """
    new = Parcel.objects.create(**fields, due_at=timezone.now(), replaces=standing_package(old) or old)
    give_way(old, new)
    return new


def give_way(old: Parcel, new: Parcel) -> None:
    OrderLine.objects.filter(parcel=old).update(parcel=new)
    if old.state == State.WAITING:
        old.shift(State.REPLACED, leased_until=None)


def fit_out(parcel: Parcel, fulfillment: Fulfillment) -> None:
    """Give a parcel its units; without them it says why, and is tried again when its fulfillment is read again."""
    row = Parcel.objects.filter(pk=parcel.pk)
    if short := lack(parcel, fulfillment):
        reason, detail = short
        row.update(reason=reason, detail=detail, due_at=None)
        if reason != parcel.reason:
            parcel.noted("asked", reason=reason, detail=detail)
    elif parcel.reason:
        row.update(reason="", detail={}, due_at=timezone.now(), replaces=replaced_by(parcel))


def lack(parcel: Parcel, fulfillment: Fulfillment) -> tuple[str, dict[str, Any]] | None:
    """Take all the units of its fulfillment for a parcel that has none; or the reason why it cannot have them."""
    if foreign := foreign_lines(parcel.order, fulfillment):
        return "foreign_line", {"lines": foreign}
    try:
        with transaction.atomic():
            take_units(parcel, fulfillment)
    except TooFewUnits as error:
        return "too_few_units", {"line": str(error)}
    return None


def foreign_lines(order: Order, fulfillment: Fulfillment) -> list[str]:
    """Lines that are no TikTok unit: a merchant added them to the order."""
    ours = {*order.other_line_gids, *(gid for (gid,) in sql.rows(LINE_IDS, [order.pk]))}
    return [line.line_id for line in fulfillment.lines if line.line_id not in ours]


def take_units(parcel: Parcel, fulfillment: Fulfillment) -> None:
    for line in fulfillment.lines:
        if line.line_id in parcel.order.other_line_gids:
            continue
        taken = sql.change(TAKE_UNITS, [parcel.pk, parcel.order_id, line.line_id, line.quantity])
        if taken < line.quantity:
            raise TooFewUnits(line.line_id)


def keep_further(order: Order, fulfillment: Fulfillment, number: str, company: str) -> None:
    """All units go with the first number; the further ones are shown, and sent only where TikTok allows several."""
    Parcel.objects.create(
        order=order,
        shop_id=order.shop_id,
        state=State.KEPT,
        reason=FURTHER,
        fulfillment_gid=fulfillment.id,
        fulfillment_name=fulfillment.name,
        number=number,
        company=company,
    )


def being_sent(fulfillment_gid: str) -> bool:
    """Whether TikTok is just told of one of its numbers, or may have been: nothing may be changed under that."""
    named = {"gid": fulfillment_gid, "now": timezone.now(), "waiting": State.WAITING}
    return bool(sql.value(BEING_SENT, named))


# ---- from a parcel to TikTok ---------------------------------------------------------------------


def advance_parcel(parcel: Parcel) -> None:
    if parcel.order.connection.paused:
        return rest_in_pause(parcel)
    return STEPS[State(parcel.state)](parcel)


def waiting(parcel: Parcel) -> None:
    """Clean number, live carrier, fitting format, an order that may be shipped: then TikTok is told, and only then."""
    if not parcel.number:
        return parcel.ask("number_missing")
    if not parcel.order.order_gid:
        return parcel.wait(None)
    units = {unit_id for (unit_id,) in sql.rows(UNITS_TO_SHIP, [parcel.pk])}
    if not units:
        return seek_units(parcel)
    source = read(parcel.order)
    if source is None:
        return parcel.ask("order_not_found")
    held = {
        line.id: source.shipment(line)
        for line in source.line_items
        if line.id in units and not line.cancelled
    }
    standing = standing_package(parcel)
    if told(parcel, held.values()):
        package_id = next(iter(held.values())).package_id
        return corrected(parcel, standing) if standing else accepted(parcel, package_id=package_id)
    if parked := not_yet(parcel, source, held.values()):
        return parked()
    if not held:  # a call that names no line would ship the whole order
        return parcel.ask("too_few_units")
    carrier = resolve(parcel, source)
    if carrier is None:
        return None
    if not parcel.anyway and (others := in_use(parcel, source)):
        return parcel.ask("number_in_use", {"orders": others})
    parcel.keep(**carrier)
    if standing:
        return correct(parcel, standing, source, carrier)
    return push(parcel, [unit_id for unit_id, shipment in held.items() if not shipment.number])


def seek_units(parcel: Parcel) -> None:
    """There were none left for it: another fulfillment may have given some back, and its own may be gone by now."""
    fulfillment = shopify_for(parcel.order.shop).get_fulfillment(parcel.fulfillment_gid)
    if fulfillment is None or parcel.units.exists():  # it has some, which TikTok cancelled
        return parcel.ask("too_few_units")
    with transaction.atomic():
        sql.rows(LOCK_ORDER, [parcel.order_id])  # who takes its units has it, as in `take`
        if fulfillment.status in NO_LONGER:
            return parcel.move(State.WITHDRAWN, detail={})
        if parcel.number not in numbers_of(fulfillment):  # its own event is on the way
            return parcel.ask("too_few_units")
        if short := lack(parcel, fulfillment):
            return parcel.ask(*short)
        return parcel.wait(timezone.now(), replaces_id=replaced_by(parcel))


def told(parcel: Parcel, held: Collection[Shipment]) -> bool:
    """TikTok has this number for all our units already: an answer was lost, or a person typed it in."""
    return bool(held) and all(has_number(shipment, parcel) for shipment in held)


def has_number(shipment: Shipment, parcel: Parcel) -> bool:
    return carriers.clean(shipment.number) == parcel.number


def not_yet(parcel: Parcel, source: Source, held: Iterable[Shipment]) -> Callable[[], None] | None:
    """Why TikTok must not hear of the parcel now, as what to do instead."""
    if source.cancelled:
        return lambda: ask_and_wake(parcel, "order_cancelled")
    if source.status in ("ON_HOLD", "UNPAID"):
        return lambda: parcel.ask("order_on_hold")
    if rules.shipped_by_tiktok(source):
        return lambda: parcel.ask("tiktok_ships")
    if source.is_buyer_request_cancel and not parcel.anyway:
        return lambda: parcel.ask("cancel_requested_shipped")
    theirs = [shipment for shipment in held if shipment.number and not has_number(shipment, parcel)]
    if theirs and standing_package(parcel) is None:
        other = {"carrier": theirs[0].provider_name, "number": theirs[0].number}
        return lambda: ask_and_wake(parcel, "shipped_elsewhere", {"parcels": [other]})
    return None


def ask_and_wake(parcel: Parcel, reason: str, detail: dict[str, Any] | None = None) -> None:
    with transaction.atomic():
        parcel.order.wake()  # first, as in `accepted`
        parcel.ask(reason, detail)


def unit_ids(parcel: Parcel) -> set[str]:
    return set(parcel.units.values_list("tiktok_line_id", flat=True))


def standing_package(parcel: Parcel) -> Parcel | None:
    """The accepted parcel that this one corrects."""
    old = parcel.replaces
    return old if old is not None and old.state == State.ACCEPTED else None


def resolve(parcel: Parcel, source: Source) -> dict[str, str] | None:
    """The provider on TikTok's live list and the verdict on the number, as columns; None: handed back with a reason."""
    links = dict(sql.rows(CARRIER_LINKS, [parcel.order.connection_id]))
    policy, region = parcel.order.connection.policy, parcel.order.connection.tiktok_shop.region
    offered = providers_of(parcel, source)
    found = chosen(parcel, offered) or carriers.resolve(
        parcel.company, parcel.number, offered, links, region, fallback=policy.fallback_provider or None
    )
    if found.problem:
        names = [provider.name for provider in found.candidates]
        parcel.ask(found.problem, {"company": parcel.company, "number": parcel.number, "candidates": names})
        return None
    verdict = carriers.check(found.provider_name, parcel.number)
    facts: dict[str, str] = {
        "provider_id": found.provider_id,
        "provider_name": found.provider_name,
        "resolved_by": found.how,
        "verdict": verdict.level,
    }
    if verdict.level == "block" and not parcel.anyway:
        detail = {
            "number": parcel.number,
            "carrier": found.provider_name,
            "what": verdict.detail,
            "belongs_to": list(verdict.belongs_to),
        }
        parcel.ask(verdict.reason, detail)
        return None
    return facts


def chosen(parcel: Parcel, offered: Sequence[Provider]) -> carriers.Resolution | None:
    """The provider that a person said, while TikTok lists it."""
    provider = next((other for other in offered if other.id == parcel.chosen_provider), None)
    return carriers.Resolution(provider.id, provider.name, "person") if provider else None


def push(parcel: Parcel, line_ids: Sequence[str]) -> None:
    parcel.keep(sent_at=timezone.now())
    tracking = Tracking(number=parcel.number, provider_id=parcel.provider_id)
    try:
        shipped = tiktok_for(parcel.order.connection).ship(parcel.order.tiktok_id, line_ids, [tracking])
    except tiktok.errors.AccessLost:
        raise
    except tiktok.errors.Rejected as error:
        return refused(parcel, error)
    parcel.noted("wrote", call="ship", detail=sent(parcel, line_ids))
    return accepted(parcel, package_id=shipped.package_id, warning=shipped.warning)


def sent(parcel: Parcel, line_ids: Sequence[str]) -> dict[str, Any]:
    return {"number": parcel.number, "provider": parcel.provider_name, "lines": list(line_ids)}


def accepted(parcel: Parcel, *, package_id: str, warning: str = "", corrections: int = 0) -> None:
    """TikTok has it. A warning means accepted but unproven: it is shown while the one correction is unspent."""
    with transaction.atomic():
        parcel.order.wake()  # the order's row before its parcels', as in `take`: neither waits for the other's
        parcel.move(
            State.ACCEPTED,
            accepted_at=timezone.now(),
            package_id=package_id,
            warning=warning,
            corrections=corrections,
            reason="tracking_warning" if warning else "",
            detail={"words": warning} if warning else {},
        )


def refused(parcel: Parcel, error: tiktok.errors.Rejected) -> None:
    """What TikTok's no means (contract 5.5); its words are kept exactly."""
    detail = {
        "words": error.public,
        "code": error.code,
        "number": parcel.number,
        "carrier": parcel.provider_name,
    }
    match shipping_fault(error.code):
        case ShippingFault.ALREADY_DONE | ShippingFault.NOT_READY:
            tries = parcel.not_ready + 1  # its order does not show yet that it is done, or may be done
            ask = partial(parcel.ask, "tracking_refused", detail)
            raise NotYet(error.public, tries, ask, not_ready=tries)
        case ShippingFault.ON_HOLD:
            return parcel.ask("order_on_hold", detail, due_at=hold_over(parcel.order))
        case ShippingFault.CANCELLED:
            return ask_and_wake(parcel, "order_cancelled", detail)
        case ShippingFault.AFTER_SALE_OPEN:
            return parcel.ask("cancel_requested_shipped", detail, due_at=after_sale_due())
        case ShippingFault.NOT_OURS:
            return parcel.ask("tiktok_ships", detail)
        case ShippingFault.EDIT_LIMIT:
            return parcel.ask("edit_limit", detail)
        case _ if error.code in LIST_MAY_BE_OLD and forget_old_providers(parcel):
            raise Later(timezone.now(), last_error=error.public)
        case _:
            forget_providers(parcel)
            return parcel.ask("tracking_refused", detail)


LIST_MAY_BE_OLD = ("21004015", "21011022")  # contract 5.3: try once more with the list as it is now


def correct(parcel: Parcel, standing: Parcel, source: Source, carrier: dict[str, str]) -> None:
    """The one correction that TikTok allows, inside its window (contract 5.2). `standing` is what TikTok has now: the
    parcel that this one replaces, or this one itself when only its carrier changed.
    """
    detail = {"number": parcel.number, "standing": standing.number}
    if standing.corrections:
        return parcel.ask("edit_limit", detail)
    if standing.accepted_at is None or timezone.now() - standing.accepted_at > settings.TRACKING_EDIT_WINDOW:
        return parcel.ask("tracking_changed_too_late", detail)
    package_id = standing.package_id or package_of(parcel, source)
    by_package = bool(package_id) and not source.in_one_package
    tracking = Tracking(number=parcel.number, provider_id=carrier["provider_id"])
    parcel.keep(sent_at=timezone.now())
    try:
        tiktok_for(parcel.order.connection).correct_tracking(
            parcel.order.tiktok_id, package_id, by_package, tracking
        )
    except tiktok.errors.AccessLost:
        raise
    except tiktok.errors.Rejected as error:
        return refused(parcel, error)
    parcel.noted("wrote", call="correct_tracking", detail=sent(parcel, sorted(unit_ids(parcel))))
    if standing.pk == parcel.pk:
        return parcel.wait(None, **carrier, corrections=1, warning="")
    return corrected(parcel, standing)


def package_of(parcel: Parcel, source: Source) -> str:
    """The package of its units; TikTok's answer to the ship call may have left it out."""
    ours = unit_ids(parcel)
    found = (source.shipment(line).package_id for line in source.line_items if line.id in ours)
    return next(filter(None, found), "")


def corrected(parcel: Parcel, standing: Parcel) -> None:
    """TikTok has this number in the place of the standing one, and no correction is left."""
    with transaction.atomic():
        parcel.order.wake()  # first, as in `accepted`
        standing.shift(State.REPLACED)
        accepted(parcel, package_id=standing.package_id, corrections=1)


def in_use(parcel: Parcel, source: Source) -> list[str]:
    """Other orders that have this number already, unless TikTok lets them share a package."""
    mine = (parcel.number, parcel.order.connection_id, parcel.order_id, [State.WAITING, State.ACCEPTED])
    ids = [tiktok_id for (tiktok_id,) in sql.rows(SAME_NUMBER, mine)]
    if not ids or (len(ids) < COMBINED_ORDERS and share_a_package(parcel, source, ids)):
        return []
    return ids


def share_a_package(parcel: Parcel, source: Source, ids: Sequence[str]) -> bool:
    """Whether TikTok grouped all these orders, or all go to one person at one place: read again, kept nowhere."""
    others = tiktok_for(parcel.order.connection).get_orders(ids)
    if len(others) < len(ids):
        return False
    group = source.auto_combine_group_id
    grouped = bool(group) and all(other.auto_combine_group_id == group for other in others)
    combined = all(order.split_or_combine_tag == "COMBINED" for order in (source, *others))
    return grouped or combined or all(same_place(source, other) for other in others)


def same_place(one: Source, other: Source) -> bool:
    return one.address is not None and not (one.masked or other.masked) and one.address == other.address


# ---- TikTok's live list of carriers --------------------------------------------------------------

Key = tuple[str, str, str, str]
lists: dict[Key, tuple[float, list[Provider]]] = {}  # per process; ids come from TikTok alone
lists_lock = threading.Lock()  # a worker's threads read and forget them at once


def providers_of(parcel: Parcel, source: Source) -> list[Provider]:
    buyer = source.address.region_code if source.address else ""
    return listed(parcel.order.connection, source.delivery_option_id, buyer)


def listed(connection: Connection, delivery_option_id: str, buyer_region: str) -> list[Provider]:
    """The European Union wants both regions; a delivery option belongs to one shop (contract 5.3). An order need not
    name one (4.2).
    """
    if not delivery_option_id:
        return last_listed(connection)
    shop = connection.tiktok_shop
    key = (shop.shop_id, delivery_option_id, shop.region, buyer_region or shop.region)
    until, known = lists.get(key, (0.0, []))
    if time.monotonic() >= until:
        known = tiktok_for(connection).get_providers(*key[1:])
        remember(key, known)
    return known


def last_listed(connection: Connection) -> list[Provider]:
    """The carriers of all of the shop's delivery options, as the last pull of them read them."""
    return [Provider(id=row["id"], name=row["name"]) for row in connection.providers]


def remember(key: Key, known: list[Provider]) -> None:
    """And let go what has run out: nobody may ask for it again."""
    now = time.monotonic()
    with lists_lock:
        for other in [other for other, (until, _) in lists.items() if until <= now]:
            del lists[other]
        lists[key] = (now + PROVIDERS_FOR, known)


def forget_old_providers(parcel: Parcel) -> bool:
    """Forget the shop's lists if they were not read just now. Whether there were any."""
    shop_id = parcel.order.connection.tiktok_shop.shop_id
    fresh_until = time.monotonic() + PROVIDERS_FOR - PROVIDERS_FRESH
    with lists_lock:
        old = any(key[0] == shop_id and until < fresh_until for key, (until, _) in lists.items())
    if old:
        forget_providers(parcel)
    return old


def forget_providers(parcel: Parcel) -> None:
    shop_id = parcel.order.connection.tiktok_shop.shop_id
    with lists_lock:
        for key in [key for key in lists if key[0] == shop_id]:
            del lists[key]


# ---- parcels that rest ---------------------------------------------------------------------------


def carrier_changed(parcel: Parcel) -> None:
    """Woken after TikTok accepted it: its carrier may have been changed in Shopify."""
    source = read(parcel.order)
    if source is None or source.cancelled:
        return rest(parcel)
    carrier = resolve(parcel, source)
    if carrier is None:
        return None
    if carrier["provider_id"] == parcel.provider_id:
        return rest(parcel)
    ours = unit_ids(parcel)
    theirs = {source.shipment(line).provider_id for line in source.line_items if line.id in ours}
    if theirs == {carrier["provider_id"]}:  # the answer to our correction was lost
        return parcel.wait(None, **carrier, corrections=1, warning="")
    return correct(parcel, parcel, source, carrier)


def rest(parcel: Parcel) -> None:
    parcel.wait(None, reason=parcel.reason, detail=parcel.detail)


STEPS: dict[State, Callable[[Parcel], None]] = {
    State.WAITING: waiting,
    State.ACCEPTED: carrier_changed,
    State.REPLACED: rest,
    State.KEPT: rest,
    State.WITHDRAWN: rest,
}
