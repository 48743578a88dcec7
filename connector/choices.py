"""What a person may decide about an order or a parcel. A choice is a fact on the row; the row's own step acts on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from django.db import transaction
from django.utils import timezone

from connector import carriers, parcels
from connector.models import CarrierLink, Connection, Order, OrderLog, Parcel, SkuLink
from connector.preferences import log
from connector.reasons import FINALIZE_ANYWAY, IMPORT, RESTORE_DRAFT, reason
from connector.states import KEPT_OUT, OrderState, ParcelState
from connector.wake import bell
from connector.work import wake_all

WAITING_FOR_SKUS = ("sku_unmapped", "sku_conflict", "bundle_unmapped")
WAITING_FOR_CARRIERS = ("carrier_unknown", "carrier_not_supported")
BEFORE_THE_ORDER = (OrderState.RECEIVED, OrderState.ON_HOLD)  # what can still be kept out of Shopify
# What a person can only take note of, of an order and of a parcel.
ORDER_NEWS = (
    "cancel_requested",
    "cancelled_in_tiktok",
    "cancelled_out_of_reach",
    "merchant_cancelled",
    "merchant_deleted",
    "merchant_refunded",
    "shipped_elsewhere",
    "lines_changed_after_finalize",
    "address_changed_after_shipped",
)
PARCEL_NEWS = (
    "several_numbers",
    "tracking_warning",
    "edit_limit",
    "tracking_changed_too_late",
    "order_cancelled",
)


TIKTOK_KEEPS = ("tiktok_ships", "address_masked")  # no choice brings these into Shopify


def choose(choice: str, order: Order, by: str) -> bool:
    """Do one of CHOICES, if it fits the order as it stands now: a page may be older. Whether it was done."""
    with transaction.atomic():
        now = Order.objects.select_for_update(no_key=True).get(pk=order.pk)
        fits = CHOICES[choice].fits(now)
        if fits:
            CHOICES[choice].do(now, by)
    if fits:
        bell.ring(order.shop_id)  # what was rung for before the end of the transaction was not to be seen yet
    return fits


def look_again(order: Order, by: str) -> None:
    """Read both platforms again, now, and try what stopped once more."""
    with transaction.atomic():
        note(order, "look again", by)
        order.wake(
            draft_touched=True,
            order_touched=True,
            fulfillments_read_at=None,
            cancel_tries=0,
            attempts=0,
            failing_since=None,
        )
        wake_all(order.parcels.filter(state=ParcelState.WAITING), attempts=0, failing_since=None)
    bell.ring(order.shop_id)


def import_anyway(order: Order, by: str) -> None:
    """Put an order into Shopify that a rule keeps out, or whose draft is gone. TikTok's own shipments stay out."""
    with transaction.atomic():
        note(order, "import", by)
        order.wake(
            chosen=True,
            skip=False,
            recreate=order.state == OrderState.ON_HOLD and order.reason == "draft_deleted",
        )
    bell.ring(order.shop_id)


def importable(order: Order) -> bool:
    """Whether a person's choice can bring the order into Shopify."""
    if order.state in KEPT_OUT:
        return order.reason not in TIKTOK_KEEPS
    return answers(order, IMPORT)


def restore(order: Order, by: str) -> None:
    """Write the draft's products and prices again as TikTok has them; an edited one is never completed as it is."""
    with transaction.atomic():
        note(order, "restore the draft", by)
        order.wake(restore=True)
    bell.ring(order.shop_id)


def complete_anyway(order: Order, by: str) -> None:
    """Complete an order although we doubt that it may be shipped there. Its total is checked all the same."""
    with transaction.atomic():
        note(order, "complete anyway", by)
        order.wake(anyway=True)
    bell.ring(order.shop_id)


def answers(order: Order, action: str) -> bool:
    """Whether the order is no Shopify order yet, and its reason is dealt with by this button."""
    return order.state in BEFORE_THE_ORDER and bool(order.reason) and reason(order.reason).action == action


def restorable(order: Order) -> bool:
    return answers(order, RESTORE_DRAFT)


def completable(order: Order) -> bool:
    return answers(order, FINALIZE_ANYWAY)


def skippable(order: Order) -> bool:
    """Whether the order can still be kept out of Shopify."""
    return order.state in BEFORE_THE_ORDER and not order.skip


def skip(order: Order, by: str) -> None:
    """Keep an order out of Shopify that is not an order there yet; its draft is deleted."""
    with transaction.atomic():
        note(order, "skip", by)
        order.wake(skip=True, chosen=False)
    bell.ring(order.shop_id)


def dismissible(order: Order) -> bool:
    """Whether a person can only take note of what stands against the order."""
    return order.reason in ORDER_NEWS


def dismiss(order: Order, by: str) -> None:
    """A person has seen what stands against the order: it is shown again when its figures change."""
    if not order.reason:
        return
    with transaction.atomic():
        note(order, f"dismiss {order.reason}", by)
        order.wake(dismissed=order.dismissed | {order.reason: order.detail})
    bell.ring(order.shop_id)


@dataclass(frozen=True, slots=True)
class Choice:
    """For which orders it means anything, and what it does."""

    fits: Callable[[Order], bool]
    do: Callable[[Order, str], None]


# What a person may choose for an order, as the routes name it.
CHOICES = {
    "look-again": Choice(lambda order: True, look_again),
    "import": Choice(importable, import_anyway),
    "restore": Choice(restorable, restore),
    "complete-anyway": Choice(completable, complete_anyway),
    "skip": Choice(skippable, skip),
    "leave": Choice(lambda order: order.state == OrderState.OFFERED, skip),
    "dismiss": Choice(dismissible, dismiss),
}


def send_anyway(parcel: Parcel, by: str) -> None:
    """Send a number although its format or the order speaks against it."""
    with transaction.atomic():
        note(parcel.order, "send anyway", by, parcel)
        parcel.wake(anyway=True)
    bell.ring(parcel.shop_id)


def retry(parcel: Parcel, by: str) -> None:
    """Try to send a number that TikTok does not have, now."""
    with transaction.atomic():
        note(parcel.order, "retry tracking", by, parcel)
        parcel.wake(attempts=0, failing_since=None)
    bell.ring(parcel.shop_id)


def correct_tracking(parcel: Parcel, number: str, provider_id: str, by: str, *, anyway: bool = False) -> None:
    """Give a parcel another number or carrier. One that TikTok has accepted spends the one correction with it.

    Shopify keeps what it has; a later change there is newer and wins. Raises parcels.BeingSent.
    """
    wish = {"chosen_provider": provider_id, "anyway": anyway}
    with transaction.atomic():
        now = Parcel.objects.select_for_update().get(pk=parcel.pk)
        if parcels.being_sent(now.fulfillment_gid):
            raise parcels.BeingSent
        note(now.order, parcels.PUT_RIGHT, by, now)
        if carriers.clean(number) == now.number:
            now.wake(**wish, attempts=0, failing_since=None)
        else:
            parcels.replace(now, **as_fulfilled(now), number=carriers.clean(number), **wish)
    bell.ring(parcel.shop_id)


def as_fulfilled(parcel: Parcel) -> dict[str, Any]:
    """What Shopify says of a parcel beside its number."""
    names = ("order", "shop_id", "fulfillment_gid", "fulfillment_name", "company", "fulfilled_at")
    return {name: getattr(parcel, name) for name in names}


def mark_seen(parcel: Parcel, by: str) -> None:
    """A person has seen what stands against a parcel. A number that TikTok will not take is kept, and not sent."""
    with transaction.atomic():
        now = Parcel.objects.select_for_update().get(pk=parcel.pk)
        if (now.state, now.reason) != (parcel.state, parcel.reason) or now.reason not in PARCEL_NEWS:
            return
        note(now.order, f"dismiss {now.reason}", by, now)
        if now.state == ParcelState.WAITING:
            now.shift(ParcelState.KEPT)
        else:
            Parcel.objects.filter(pk=now.pk).update(reason="", detail={}, due_at=None)


def note(order: Order, what: str, by: str, parcel: Parcel | None = None) -> None:
    OrderLog.objects.create(
        order=order, parcel=parcel, what="chose", call=what, old=order.state, new=order.state, by=by
    )


def link_sku(connection: Connection, sku_id: str, variant_gid: str, title: str, by: str) -> int:
    """Say which variant a TikTok SKU stands for. Wakes the orders that waited for it and returns how many."""
    return link_skus(connection, {sku_id: (variant_gid, title)}, by)


def link_skus(
    connection: Connection, wanted: Mapping[str, tuple[str, str]], by: str, *, by_hand: bool = True
) -> int:
    """Say which variant (gid, title) each TikTok SKU stands for: all or none. Returns how many orders go on.

    A link that is not `by_hand` lasts as long as its variant carries the seller SKU.
    """
    with transaction.atomic():
        rows = [
            SkuLink(
                connection=connection,
                sku_id=sku_id,
                variant_gid=gid,
                variant_title=title,
                by_hand=by_hand,
                confirmed_at=timezone.now(),
            )
            for sku_id, (gid, title) in wanted.items()
        ]
        SkuLink.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["connection", "sku_id"],
            update_fields=["variant_gid", "variant_title", "by_hand", "confirmed_at"],
        )
        waiting = connection.asking().filter(reason__in=WAITING_FOR_SKUS)
        woken = [
            order
            for order in waiting
            if not wanted.keys().isdisjoint(map(itemgetter("sku_id"), lines_of(order)))
        ]
        for order in woken:
            note(order, "link", by)
            order.wake()
    bell.ring(connection.shop_id)
    return len(woken)


def lines_of(order: Order) -> list[dict[str, str]]:
    """The lines that an order waits for."""
    lines: list[dict[str, str]] = order.detail.get("lines", [])
    return lines


def unlink_sku(connection: Connection, sku_id: str, by: str) -> None:
    """Forget the variant. Orders in Shopify stay as they are; the next one is matched by SKU again."""
    with transaction.atomic():
        known = SkuLink.objects.linked().filter(connection=connection, sku_id=sku_id).select_for_update()
        for sku in known:
            name, title = sku.seller_sku or sku_id, sku.variant_title or sku.variant_gid
            log(connection, by, {f"product {name}": [title, ""]})
        known.update(variant_gid="", variant_title="", by_hand=False)


def link_carrier(connection: Connection, company: str, provider_id: str, provider_name: str, by: str) -> int:
    """Say which provider a Shopify carrier name means. Wakes the parcels that waited for it."""
    key = carriers.normalise(company)
    with transaction.atomic():
        former = CarrierLink.objects.filter(connection=connection, company=key).first()
        CarrierLink.objects.update_or_create(
            connection=connection,
            company=key,
            defaults={"provider_id": provider_id, "provider_name": provider_name},
        )
        log(connection, by, {f"carrier {key}": [former.provider_name if former else "", provider_name]})
        waiting = connection.asking_parcels().filter(reason__in=WAITING_FOR_CARRIERS)
        woken = [parcel for parcel in waiting if carriers.normalise(parcel.company) == key]
        for parcel in woken:
            parcel.wake()
    bell.ring(connection.shop_id)
    return len(woken)


def unlink_carrier(connection: Connection, company: str, by: str) -> None:
    """Forget what the merchant said of a carrier name: it is resolved by list, table and number again."""
    key = carriers.normalise(company)
    with transaction.atomic():
        former = CarrierLink.objects.filter(connection=connection, company=key).first()
        if former is not None:
            former.delete()
            log(connection, by, {f"carrier {key}": [former.provider_name, ""]})
