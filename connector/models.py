"""What the connector remembers: fields, constraints, and `move`, the one door a state goes through.

Nothing here holds a buyer's name, address, phone, e-mail or message: those pass through memory only.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint
from django.utils import timezone

import shopify_app.errors
from connector import sql
from connector.outcomes import OUTCOME
from connector.policy import Policy
from connector.states import ENDED, IN_SHOPIFY, KEPT_OUT, MOVES, ON_ITS_WAY, OrderState, ParcelState, Pause
from connector.work import WOKEN, Overtaken, PlatformError, Work, wake_all
from shopify_app.models import Shop
from shopify_app.webhooks import COMPLIANCE

if TYPE_CHECKING:
    from connector.reading import Reading

log = logging.getLogger(__name__)

# last_error of a row that waits for its connection
RESTS_IN_PAUSE = "connection_paused"
DISCONNECTED = "disconnected"
CANCELLATION = ("cancelled_by", "cancel_reason")  # what the log keeps of a move to CANCELLED
KEEP, DELETE = "keep", "delete"  # what becomes of held drafts at a disconnect: settings["held_drafts"]


PULL_AFTER_PARK = timedelta(minutes=15)
EVENT_WAITS_FOR_ACCESS = timedelta(minutes=15)
DAILY = timedelta(days=1)
GRANT_WARNING = timedelta(days=30)


PULLED = "pull:"  # how the key of an event begins that no platform posted
FORGET_BATCH = 500  # small, so that no table is held for long


class IllegalMove(Exception):
    pass


def forget(rows: models.QuerySet[Any]) -> int:
    """Delete one batch of rows with all that hangs on them; how many they were."""
    keys = list(rows.order_by().values_list("pk", flat=True)[:FORGET_BATCH])
    if keys:
        rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)


# Who lifts a pause locks the connection first: after that, its rows are woken or see that it goes on.
PAUSED_NOW = "SELECT paused_reason FROM connector_connection WHERE id = %s FOR SHARE"


def rest_in_pause(row: "Order | Parcel") -> None:
    """Hand a row back until its connection goes on; at once, if it went on meanwhile."""
    row.release(None, last_error=RESTS_IN_PAUSE)
    order = row.order if isinstance(row, Parcel) else row
    if not sql.value(PAUSED_NOW, [order.connection_id]):
        row.wake(last_error="")


def platform_reason(error: PlatformError) -> str:
    return "shopify_rejected" if isinstance(error, shopify_app.errors.ShopifyError) else "tiktok_rejected"


def pause_for(connection: "Connection", error: PlatformError) -> None:
    """Stop at a lost access: a TikTok grant stops its own connection, a Shopify grant all of the shop's."""
    if isinstance(error, shopify_app.errors.ShopifyError):
        pause_shop(connection.shop_id, error)
    else:
        connection.pause(Pause.TIKTOK_ACCESS_LOST, error.public)


def pause_shop(shop_id: int, error: PlatformError) -> None:
    for connection in Connection.objects.filter(shop_id=shop_id):
        connection.pause(Pause.SHOPIFY_ACCESS_LOST, error.public)


def this_second() -> datetime:
    """TikTok's times are whole seconds: an order placed within the second of the start is not older."""
    return timezone.now().replace(microsecond=0)


def due_index(name: str) -> Index:
    return Index(fields=["shop", "-live", "due_at"], name=name, condition=Q(due_at__isnull=False))


def failing_index(name: str) -> Index:
    return Index(
        fields=["failing_since"], name=name, condition=Q(due_at__isnull=False, failing_since__isnull=False)
    )


class Connection(Work):
    """A TikTok shop that feeds a Shopify shop. As a row of work it is its own pull: due when the next look is."""

    tiktok_shop = models.ForeignKey("tiktok.Shop", on_delete=models.PROTECT, related_name="connections")
    active = models.BooleanField(default=True)
    started_at = models.DateTimeField(default=this_second)  # older orders are imported by choice only
    connected_by = models.TextField(default="", blank=True)  # Shopify's user id
    settings = models.JSONField(default=dict, blank=True)
    paused_reason = models.TextField(default="", blank=True)
    paused_words = models.TextField(default="", blank=True)
    paused_at = models.DateTimeField(null=True)
    # {"tag", "order"}: who else makes these orders
    other_connector = models.JSONField(default=dict, blank=True)
    other_connector_accepted_at = models.DateTimeField(null=True)
    prepared_at = models.DateTimeField(null=True)  # other connectors looked for, since the last consent

    # The two pulls: a cursor moves only after the last page of its window is stored.
    tiktok_cursor = models.DateTimeField(null=True)
    tiktok_until = models.DateTimeField(null=True)
    tiktok_page = models.TextField(default="", blank=True)
    tiktok_pulled_at = models.DateTimeField(null=True)
    shopify_cursor = models.DateTimeField(null=True)
    shopify_until = models.DateTimeField(null=True)
    shopify_page = models.TextField(default="", blank=True)
    shopify_pulled_at = models.DateTimeField(null=True)
    last_webhook_at = models.DateTimeField(null=True)

    # What TikTok lists of this shop: products in pages, then the carriers; once a day, or when a person asks.
    listing_due_at = models.DateTimeField(default=timezone.now)
    listing_began_at = models.DateTimeField(null=True)
    listing_page = models.TextField(default="", blank=True)
    listing_words = models.TextField(default="", blank=True)  # TikTok's, where it refused
    products_read_at = models.DateTimeField(null=True)
    providers = models.JSONField(default=list, blank=True)  # [{"id", "name"}]: carriers as last read
    providers_read_at = models.DateTimeField(null=True)

    # What both shops said when the setup was last checked: once a day, or when a person asks (setup.py).
    setup = models.JSONField(default=dict, blank=True)
    setup_checked_at = models.DateTimeField(null=True)
    setup_wanted_at = models.DateTimeField(null=True)
    guide_closed_at = models.DateTimeField(null=True)  # a person needs the setup guide no more

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["tiktok_shop"], condition=Q(active=True), name="one_active_connection_per_tiktok_shop"
            ),
            UniqueConstraint(fields=["shop", "tiktok_shop"], name="one_connection_per_pair"),
        ]
        indexes = [due_index("connection_due"), failing_index("connection_failing")]

    @property
    def policy(self) -> Policy:
        return Policy.from_json(self.settings)

    @property
    def permission_ends_at(self) -> datetime:
        """As TikTok said last, with a pair of tokens or in its warning. Nothing but a new consent renews it."""
        return self.tiktok_shop.seller.refresh_expires_at

    @property
    def grant_ends_soon(self) -> bool:
        return self.permission_ends_at - timezone.now() <= GRANT_WARNING

    @property
    def pulled_at(self) -> datetime:
        """When the pull that is further behind last read its side to the end; before that, since the start."""
        return min(self.tiktok_pulled_at or self.started_at, self.shopify_pulled_at or self.started_at)

    @property
    def paused(self) -> bool:
        return bool(self.paused_reason)

    def asking(self) -> "models.QuerySet[Order]":
        """Its orders that wait for a person; the shop is named because the index is a shop's."""
        return Order.objects.filter(ASKING, shop=self.shop_id, connection=self)

    def asking_parcels(self) -> "models.QuerySet[Parcel]":
        mine = Parcel.objects.filter(shop=self.shop_id, order__connection=self)
        return mine.exclude(reason="")

    def pause(self, reason: Pause, words: str = "") -> None:
        Connection.objects.filter(pk=self.pk, paused_reason="").update(
            paused_reason=reason, paused_words=words, paused_at=timezone.now()
        )
        self.paused_reason = self.paused_reason or reason

    @transaction.atomic
    def resume(self) -> None:
        """Lift the pause and wake all that waited for it, the pulls first of all: both or neither, for nothing but
        this wakes them. The connection's row is locked before its orders', and those before their parcels'.
        """
        wake_all(
            Connection.objects.filter(pk=self.pk),
            paused_reason="",
            paused_words="",
            paused_at=None,
            tiktok_pulled_at=None,
            shopify_pulled_at=None,
        )
        self.paused_reason = ""
        wake_all(Order.objects.filter(connection=self, last_error=RESTS_IN_PAUSE), last_error="")
        waiting = Parcel.objects.filter(shop=self.shop_id, order__connection=self, last_error=RESTS_IN_PAUSE)
        wake_all(waiting, last_error="")

    @transaction.atomic
    def begin_anew(self) -> None:
        """After a consent or an installation: who makes orders, what rings and what is allowed may have changed."""
        Connection.objects.filter(pk=self.pk).update(prepared_at=None, setup_wanted_at=timezone.now())
        self.resume()

    def park(self, reason: str, **facts: Any) -> None:
        self.release(timezone.now() + PULL_AFTER_PARK, **({"last_error": reason} | facts))

    def rejected(self, error: PlatformError) -> None:
        """A page may have grown too old to go on from: both windows begin again at their cursors."""
        again: dict[str, Any] = {
            "tiktok_until": None,
            "tiktok_page": "",
            "shopify_until": None,
            "shopify_page": "",
        }
        since = self.failing_since or timezone.now()
        self.release(timezone.now() + PULL_AFTER_PARK, last_error=error.public, failing_since=since, **again)

    def access_lost(self, error: PlatformError) -> None:
        """What was lost may come back by itself, as a frozen store does: pulls.knock asks once a day."""
        pause_for(self, error)
        self.release(timezone.now() + DAILY, last_error=RESTS_IN_PAUSE)


class ConnectionLog(models.Model):
    """Append only: who changed what in a connection's settings, and when."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    by = models.TextField(default="", blank=True)  # Shopify's user id
    changes = models.JSONField(default=dict)  # name of a setting: [old, new]

    class Meta:
        indexes = [Index(fields=["connection", "-at"], name="connectionlog_newest")]


PARKED = Q(due_at__isnull=True, done_at__isnull=True)
REVIVE = f"""
UPDATE connector_inboxevent SET {WOKEN}, attempts = 0, failing_since = NULL, last_error = '', outcome = ''
WHERE source = %s AND key = %s AND due_at IS NULL AND done_at IS NULL
"""  # noqa: S608  (our own words)


class InboxEvent(Work):
    """A doorbell that rang: who, about what. Bodies are never kept."""

    shop = models.ForeignKey(  # type: ignore[assignment]  # an event may name a shop that we do not know
        "shopify_app.Shop", on_delete=models.CASCADE, null=True, related_name="+"
    )

    source = models.TextField()  # "tiktok" or "shopify"
    key = models.TextField()
    topic = models.TextField()
    subject = models.TextField(default="", blank=True)  # the id of what it is about
    facts = models.JSONField(default=dict, blank=True)
    triggered_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True)
    outcome = models.TextField(default="", blank=True)

    connections: "Sequence[Connection] | None" = None  # the shop's, as neighbours.py knows them

    class Meta:
        constraints = [UniqueConstraint(fields=["source", "key"], name="an_event_is_stored_once")]
        indexes = [
            due_index("inboxevent_due"),
            failing_index("inboxevent_failing"),
            Index(fields=["received_at"], name="inboxevent_received"),
            Index(
                fields=["shop", "due_at"],
                name="inboxevent_compliance",
                condition=Q(topic__in=COMPLIANCE, due_at__isnull=False),
            ),
            Index(fields=["received_at"], name="inboxevent_parked", condition=PARKED),
        ]

    @property
    def posted(self) -> bool:
        """Whether a platform posted it; else a pull of ours rang."""
        return not self.key.startswith(PULLED)

    @staticmethod
    def ring(source: str, topic: str, shop_id: int, facts: dict[str, Any], at: datetime) -> None:
        """A doorbell of our own: a pull saw what a webhook may not have told. Rings once for each state seen, and again
        where that was given up on.
        """
        key = f"{PULLED}{topic}:{facts['id']}:{at.isoformat()}"
        event = InboxEvent(
            source=source,
            key=key,
            topic=topic,
            shop_id=shop_id,
            subject=facts["id"],
            facts=facts,
            triggered_at=at,
            due_at=timezone.now(),
        )
        if not sql.insert(event, unless_known=True):
            now = timezone.now()
            sql.change(REVIVE, [now, now, source, key])

    @classmethod
    def parked(cls) -> "models.QuerySet[InboxEvent]":
        """Given up on and unanswered: nothing but a person or a pull that sees its cause again makes it due."""
        return cls.objects.filter(PARKED)

    @property
    def owner(self) -> Shop:
        """The shop of an event that is worked on: one of an unknown shop never is."""
        if self.shop is None:
            raise LookupError(f"{self.ref} belongs to no shop")
        return self.shop

    def done(self, outcome: str = "done") -> None:
        self.succeed(None, done_at=timezone.now(), outcome=outcome)

    def park(self, reason: str, **facts: Any) -> None:
        self.give_up(reason, **({"last_error": reason} | facts))

    def rejected(self, error: PlatformError) -> None:
        self.give_up("rejected", last_error=error.public)

    def give_up(self, outcome: str, **facts: Any) -> None:
        log.warning("event parked", extra={"row": self.ref, "topic": self.topic, "outcome": outcome})
        self.release(None, outcome=outcome, **facts)

    def access_lost(self, error: PlatformError) -> None:
        """Wait: the pulls find the object again after the reconnect, but the event may be quicker."""
        pause_shop(self.owner.pk, error)
        self.release(timezone.now() + EVENT_WAITS_FOR_ACCESS, last_error=RESTS_IN_PAUSE)


# Waits for a person, who has not said yet what is to become of it.
ASKING = ~Q(reason="") & ~Q(state__in=sorted(KEPT_OUT))
# Has deadlines of TikTok's that can still be missed.
LIVING = Q(state__in=sorted(ON_ITS_WAY))
# Nothing is to happen to it any more, as far as we know.
OVER = Q(state__in=sorted([*ENDED, OrderState.SKIPPED, OrderState.OUTSIDE, OrderState.DELIVERED]))


class Order(Work):
    """One TikTok order and what became of it in Shopify."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="orders")
    tiktok_id = models.TextField()
    state = models.TextField(choices=OrderState.choices, default=OrderState.RECEIVED)
    reason = models.TextField(default="", blank=True)  # a person's turn: a code of reasons.py
    detail = models.JSONField(default=dict, blank=True)  # the figures and ids that the reason's text needs
    chosen = models.BooleanField(default=False)  # a person said: import it anyway
    skip = models.BooleanField(default=False)  # a person said: keep it out
    recreate = models.BooleanField(default=False)  # a person said: make the deleted draft again
    restore = models.BooleanField(default=False)  # a person said: undo what was edited in the draft
    anyway = models.BooleanField(default=False)  # a person said: complete it although we doubt where it goes
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    # What TikTok last said (allow-listed; see mapping.snapshot).
    tiktok_status = models.TextField(default="", blank=True)
    tiktok_updated_at = models.DateTimeField(null=True)
    placed_at = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    release_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)  # when TikTok's hold was over, by TikTok's own clock
    ship_by_at = models.DateTimeField(null=True)
    hand_over_by_at = models.DateTimeField(null=True)
    ship_due_at = models.DateTimeField(null=True)
    collection_due_at = models.DateTimeField(null=True)
    delivery_due_at = models.DateTimeField(null=True)
    kinds = ArrayField(models.TextField(), default=list, blank=True)
    delivery_option_id = models.TextField(default="", blank=True)
    warehouse_id = models.TextField(default="", blank=True)
    # country of the buyer, for the carriers of the delivery option
    region = models.TextField(default="", blank=True)
    combine_group = models.TextField(default="", blank=True)
    split_or_combine = models.TextField(default="", blank=True)
    cancel_requested = models.BooleanField(default=False)
    cancel_due_at = models.DateTimeField(null=True)  # by when the seller is to answer it; silence grants it
    cancel_request = models.TextField(default="", db_default="", blank=True)  # the request that this is of
    cancelled_by = models.TextField(default="", blank=True)  # one of tiktok.cancelling.ROLES
    cancel_reason = models.TextField(default="", blank=True)  # one of tiktok.cancelling.REASONS, or OTHER
    money = models.JSONField(default=dict, blank=True)
    currency = models.TextField(default="", blank=True)
    expected_total = models.DecimalField(max_digits=16, decimal_places=4, null=True)

    # The draft. `create_sent_at` is the intent: a create whose answer we have not seen.
    create_sent_at = models.DateTimeField(null=True)
    create_tries = models.PositiveSmallIntegerField(default=0)
    recovery_looks = models.PositiveSmallIntegerField(default=0)
    draft_gid = models.TextField(default="", blank=True)
    draft_name = models.TextField(default="", blank=True)
    draft_updated_at = models.DateTimeField(null=True)  # from our own answers: an event not newer is our echo
    reserved_until = models.DateTimeField(null=True)
    hold_looks = models.PositiveSmallIntegerField(default=0)
    prepared_at = models.DateTimeField(null=True)  # address on, hold tag off; Shopify may still be computing
    ready_looks = models.PositiveSmallIntegerField(default=0)
    draft_touched = models.BooleanField(default=False)  # somebody else changed it: look at it
    complete_sent_at = models.DateTimeField(null=True)  # a completed draft without this was completed by hand
    payment_method = models.TextField(default="", blank=True)  # completed unpaid, to be paid under this name
    paid_in_shopify_at = models.DateTimeField(null=True)

    # The Shopify order.
    order_gid = models.TextField(default="", blank=True)
    order_name = models.TextField(default="", blank=True)
    finalized_at = models.DateTimeField(null=True)
    referenced_at = models.DateTimeField(null=True)  # both sides know each other's id
    address_missed_at = models.DateTimeField(null=True)  # when it was released, and had no address yet
    address_told_at = models.DateTimeField(null=True)  # the newest address change that TikTok rang for
    # The address that Shopify has, as it was when we read it. Empty: it has none of ours.
    addressed_as_of = models.DateTimeField(null=True)  # TikTok's update time then
    addressed_told_at = models.DateTimeField(null=True)  # the newest change that had rung before we read
    addressed_marked = models.BooleanField(null=True)  # whether TikTok's mark of a changed address stood
    addressed_at = models.DateTimeField(null=True)  # our own time of the reading
    order_touched = models.BooleanField(default=False)  # the Shopify order changed: look at it
    fulfillments_read_at = models.DateTimeField(null=True)  # looked for once, as its id may have come late
    readings = models.JSONField(default=dict, blank=True)  # a fulfillment's newest: gid: [updated, asked]
    shopify_state = models.TextField(default="", blank=True)  # cancelled, deleted, refunded by the merchant
    changed_lines = models.JSONField(default=list, blank=True)  # what TikTok changed after we finalized
    shipped_elsewhere = models.JSONField(default=list, blank=True)  # numbers at TikTok that we did not send
    cancel_sent_at = models.DateTimeField(null=True)  # when Shopify was last told to cancel it
    cancel_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    flags = ArrayField(models.TextField(), default=list, blank=True)  # warning tags that stand on the order
    dismissed = models.JSONField(default=dict, blank=True)  # what a person has seen: reason: its figures then
    # our lines that are no unit: tax
    other_line_gids = ArrayField(models.TextField(), default=list, blank=True)
    outcome = models.GeneratedField(expression=OUTCOME, output_field=models.TextField(), db_persist=True)

    reading: "Reading | None" = None  # of orders that were claimed together (reading.py)
    read_at: datetime | None = None  # when TikTok was asked for what the step goes by

    class Meta:
        constraints = [
            UniqueConstraint(fields=["connection", "tiktok_id"], name="an_order_is_known_once"),
            UniqueConstraint(fields=["draft_gid"], condition=~Q(draft_gid=""), name="a_draft_has_one_order"),
            UniqueConstraint(
                fields=["order_gid"], condition=~Q(order_gid=""), name="a_shopify_order_has_one_order"
            ),
            CheckConstraint(condition=Q(state__in=OrderState.values), name="order_state_is_known"),
            CheckConstraint(
                condition=~Q(state=OrderState.ON_HOLD) | ~Q(draft_gid=""), name="on_hold_has_a_draft"
            ),
            CheckConstraint(
                condition=~Q(state__in=sorted(IN_SHOPIFY)) | ~Q(order_gid=""),
                name="finalized_has_a_shopify_order",
            ),
        ]
        indexes = [
            due_index("order_due"),
            failing_index("order_failing"),
            Index(fields=["shop", "-placed_at", "-id"], name="order_list", include=["outcome"]),
            Index(fields=["shop", "state", "-placed_at", "-id"], name="order_list_by_state"),
            Index(
                fields=["shop", "-placed_at", "-id"],
                name="order_attention",
                condition=ASKING,
            ),
            Index(
                fields=["connection", "last_error"],
                name="order_resting",
                condition=Q(last_error__in=[RESTS_IN_PAUSE, DISCONNECTED]),
            ),
            Index(fields=["changed_at"], name="order_over", condition=OVER),
            Index(fields=["connection"], name="order_living", condition=LIVING),
            Index(fields=["tiktok_id"], name="order_tiktok_id"),
            Index(
                fields=["shop", "finalized_at"],
                name="order_finalized",
                condition=Q(finalized_at__isnull=False),
                include=["currency", "expected_total", "released_at", "id"],
            ),
            Index(
                fields=["shop", "ship_by_at"],
                name="order_to_ship",
                condition=Q(state=OrderState.FINALIZED),
                include=["order_name", "id"],
            ),
            Index(fields=["shop", "order_name"], name="order_name"),
            Index(fields=["shop", "draft_name"], name="order_draft_name"),
        ]

    def __str__(self) -> str:
        return f"TikTok order {self.tiktok_id} ({self.state})"

    def move(self, to: str, *, due_at: datetime | None = None, **facts: Any) -> None:
        """The only way a state changes; its history is written by the same statement."""
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.ref}: {self.state} -> {to}")
        old, reason = self.state, facts.setdefault("reason", "")
        facts.setdefault("detail", {})
        cancelled = {
            name: facts[name] for name in CANCELLATION if to == OrderState.CANCELLED and facts.get(name)
        }
        note = self.note("moved", old=old, new=to, reason=reason, detail=facts["detail"] | cancelled)
        self.succeed(due_at, note=note, state=to, changed_at=timezone.now(), **facts)

    def ask(
        self, reason: str, detail: dict[str, Any] | None = None, due_at: datetime | None = None, **facts: Any
    ) -> None:
        """A person's turn: say why, keep everything."""
        detail = detail or {}
        news = reason != self.reason or detail != self.detail
        note = self.note("asked", reason=reason, detail=detail) if news else None
        self.succeed(due_at, note=note, reason=reason, detail=detail, changed_at=timezone.now(), **facts)

    def wait(self, due_at: datetime | None, **facts: Any) -> None:
        """Nothing to do before due_at (None: before something wakes it). What was asked is answered."""
        self.succeed(due_at, **({"reason": "", "detail": {}} | facts))

    def wrote(self, call: str, **detail: Any) -> None:
        """An effect in the outside world, for the timeline: ids, figures and codes only."""
        sql.insert(self.note("wrote", call=call, detail=detail))

    def note(self, what: str, **fields: Any) -> "OrderLog":
        """A line of its history that is not stored yet."""
        return OrderLog(order_id=self.pk, what=what, **{"old": self.state, "new": self.state} | fields)

    def park(self, reason: str, **facts: Any) -> None:
        facts = {"last_error": reason, "reason": reason, "changed_at": timezone.now()} | facts
        self.release(None, note=self.note("asked", reason=reason), **facts)

    def rejected(self, error: PlatformError) -> None:
        self.park(platform_reason(error), last_error=error.public, detail={"words": error.public})

    def access_lost(self, error: PlatformError) -> None:
        pause_for(self.connection, error)
        rest_in_pause(self)


class OrderLine(models.Model):
    """One unit of a TikTok order: TikTok has no quantities (contract 4.2)."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    tiktok_line_id = models.TextField()
    sku_id = models.TextField(default="", blank=True)
    seller_sku = models.TextField(default="", blank=True)
    product_id = models.TextField(default="", blank=True)
    title = models.TextField(default="", blank=True)
    price = models.DecimalField(max_digits=16, decimal_places=4, default=0)
    is_gift = models.BooleanField(default=False)
    cancelled = models.BooleanField(default=False)
    variant_gid = models.TextField(default="", blank=True)  # that the draft was written with
    shopify_line_gid = models.TextField(default="", blank=True)
    parcel = models.ForeignKey(
        "Parcel", on_delete=models.SET_NULL, null=True, blank=True, related_name="units"
    )

    class Meta:
        ordering = ["id"]
        constraints = [UniqueConstraint(fields=["order", "tiktok_line_id"], name="a_unit_is_known_once")]
        indexes = [
            Index(fields=["shopify_line_gid"], name="line_shopify_id", condition=~Q(shopify_line_gid="")),
            Index(fields=["sku_id"], name="line_sku_id"),
            Index(fields=["seller_sku"], name="line_seller_sku"),
        ]


class Parcel(Work):
    """One tracking number of one Shopify fulfillment, and what TikTok said to it."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="parcels")
    state = models.TextField(choices=ParcelState.choices, default=ParcelState.WAITING)
    reason = models.TextField(default="", blank=True)
    detail = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    fulfillment_gid = models.TextField()
    fulfillment_name = models.TextField(default="", blank=True)
    company = models.TextField(default="", blank=True)  # as Shopify has it
    number = models.TextField()  # cleaned
    provider_id = models.TextField(default="", blank=True)
    provider_name = models.TextField(default="", blank=True)
    resolved_by = models.TextField(default="", blank=True)  # exact, alias, merchant, format, fallback
    verdict = models.TextField(default="", blank=True)
    chosen_provider = models.TextField(default="", blank=True)  # a person said: this provider id
    anyway = models.BooleanField(default=False)  # a person said: send it although we doubt it
    fulfilled_at = models.DateTimeField(null=True)  # when Shopify had the number
    sent_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    package_id = models.TextField(default="", blank=True)
    warning = models.TextField(default="", blank=True)
    replaces = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replaced_by"
    )
    corrections = models.PositiveSmallIntegerField(default=0)  # spent; TikTok allows one
    # how often in a row TikTok said that it is too early
    not_ready = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["fulfillment_gid", "number"], name="a_number_of_a_fulfillment_is_known_once"
            ),
            CheckConstraint(condition=Q(state__in=ParcelState.values), name="parcel_state_is_known"),
        ]
        indexes = [
            due_index("parcel_due"),
            failing_index("parcel_failing"),
            Index(fields=["number"], name="parcel_number"),
            Index(fields=["shop", "company"], name="parcel_company"),
            Index(fields=["shop", "order"], name="parcel_attention", condition=~Q(reason="")),
            Index(fields=["shop", "order"], name="parcel_resting", condition=Q(last_error=RESTS_IN_PAUSE)),
            Index(
                fields=["shop", "accepted_at"],
                name="parcel_accepted",
                condition=Q(accepted_at__isnull=False),
                include=["fulfilled_at", "order", "id"],
            ),
        ]

    def __str__(self) -> str:
        return f"Parcel {self.fulfillment_name or self.fulfillment_gid} ({self.state})"

    def move(self, to: str, *, due_at: datetime | None = None, **facts: Any) -> None:
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.ref}: {self.state} -> {to}")
        old, reason = self.state, facts.setdefault("reason", "")
        self.succeed(due_at, note=self.note("moved", old=old, new=to, reason=reason), state=to, **facts)

    def shift(self, to: str, *, due_at: datetime | None = None, **facts: Any) -> None:
        """`move` for a row that has no worker and is locked by our transaction. Raises Overtaken if it moved before."""
        if to not in MOVES[self.state]:
            raise IllegalMove(f"{self.ref}: {self.state} -> {to}")
        facts = {"reason": "", "detail": {}, "not_ready": 0} | facts | {"state": to, "due_at": due_at}
        note = self.note("moved", new=to, reason=facts["reason"])
        sets, stored = self._columns(facts)
        update = f"UPDATE connector_parcel SET {', '.join(sets)} WHERE id = %s AND state = %s"  # noqa: S608
        if not sql.change_and_insert(update, [*stored, self.pk, self.state], note):
            raise Overtaken(self.ref)
        self._remember(facts)

    def succeed(self, due_at: datetime | None, note: models.Model | None = None, **facts: Any) -> None:
        super().succeed(due_at, note=note, not_ready=0, **facts)

    def ask(
        self, reason: str, detail: dict[str, Any] | None = None, due_at: datetime | None = None, **facts: Any
    ) -> None:
        detail = detail or {}
        note = self.note("asked", reason=reason, detail=detail) if reason != self.reason else None
        self.succeed(due_at, note=note, reason=reason, detail=detail, **facts)

    def wait(self, due_at: datetime | None, **facts: Any) -> None:
        self.succeed(due_at, **({"reason": "", "detail": {}} | facts))

    def note(self, what: str, **fields: Any) -> "OrderLog":
        """A line of its order's history that is not stored yet."""
        states = {"old": self.state, "new": self.state}
        return OrderLog(order_id=self.order_id, parcel_id=self.pk, what=what, **states | fields)

    def noted(self, what: str, **fields: Any) -> None:
        sql.insert(self.note(what, **fields))

    def park(self, reason: str, **facts: Any) -> None:
        facts = {"last_error": reason, "reason": reason} | facts
        self.release(None, note=self.note("asked", reason=reason), **facts)

    def rejected(self, error: PlatformError) -> None:
        self.park(platform_reason(error), last_error=error.public, detail={"words": error.public})

    def access_lost(self, error: PlatformError) -> None:
        pause_for(self.order.connection, error)
        rest_in_pause(self)


class OrderLog(models.Model):
    """Append only: every move, every question to a person, every write to a platform."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="log")
    parcel = models.ForeignKey(Parcel, on_delete=models.SET_NULL, null=True, blank=True, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    what = models.TextField()  # moved, asked, wrote, chose, redacted
    call = models.TextField(default="", blank=True)
    old = models.TextField(default="", blank=True)
    new = models.TextField(default="", blank=True)
    reason = models.TextField(default="", blank=True)
    detail = models.JSONField(default=dict, blank=True)
    by = models.TextField(default="", blank=True)  # Shopify's user id, where a person did it

    class Meta:
        ordering = ["at", "id"]
        indexes = [
            Index(fields=["order", "at"], name="orderlog_timeline"),
            Index(fields=["order", "parcel"], name="orderlog_asked", condition=Q(what="asked")),
        ]


class Audit(Work):
    """A day of one connection, read again from both shops and compared with what we know. Due for its next page."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="audits")
    day = models.DateField()  # in the Shopify shop's zone
    since = models.DateTimeField()
    until = models.DateTimeField()
    by = models.TextField(default="", blank=True)  # Shopify's user id; empty: the clock
    asked_at = models.DateTimeField(default=timezone.now)
    page = models.TextField(default="", blank=True)
    total = models.PositiveIntegerField(default=0)  # how many orders TikTok says there are
    of_shopify = models.BooleanField(default=False)  # TikTok's orders are read: now Shopify's
    seen = ArrayField(models.TextField(), default=list, blank=True)  # ids read so far, of the side being read
    findings = models.JSONField(default=list, blank=True)  # {"what", "order", "before", "after"}
    read = models.PositiveIntegerField(default=0)  # of TikTok's
    read_in_shopify = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    words = models.TextField(default="", blank=True)  # why it could not be finished

    class Meta:
        indexes = [
            due_index("audit_due"),
            failing_index("audit_failing"),
            Index(fields=["shop", "day", "-asked_at"], name="audit_of_day"),
            Index(fields=["finished_at"], name="audit_finished"),
        ]

    def __str__(self) -> str:
        return f"Audit of {self.day}"

    def park(self, reason: str, **facts: Any) -> None:
        self.release(None, finished_at=timezone.now(), words=reason, **facts)

    def rejected(self, error: PlatformError) -> None:
        self.park(error.public)

    def access_lost(self, error: PlatformError) -> None:
        pause_for(self.connection, error)
        self.park(error.public)


# Every kind of row of work, by the name that figures have for it.
ROWS: dict[str, type[Work]] = {
    "events": InboxEvent,
    "parcels": Parcel,
    "orders": Order,
    "connections": Connection,
    "audits": Audit,
}
# How a row names its connection; an event is its shop's.
CONNECTION_OF: dict[type[Work], str] = {
    Order: "connection",
    Parcel: "order__connection",
    Audit: "connection",
    Connection: "pk",
}


class Alert(models.Model):
    """Something that stands against a connection and was said: once for each cause. Deleted when it is over."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="alerts")
    kind = models.TextField()
    subject = models.TextField(default="", blank=True)
    since = models.DateTimeField()
    told_at = models.DateTimeField(null=True)  # by mail
    tries = models.PositiveSmallIntegerField(default=0)  # mails that were not taken

    class Meta:
        constraints = [
            UniqueConstraint(fields=["connection", "kind", "subject"], name="a_cause_is_said_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class SkuLinks(models.QuerySet["SkuLink"]):
    def linked(self) -> Self:
        return self.exclude(variant_gid="")


class SkuLink(models.Model):
    """A TikTok SKU, and the Shopify variant it stands for once that is known."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="sku_links")
    sku_id = models.TextField()
    seller_sku = models.TextField(default="", blank=True)
    product_id = models.TextField(default="", blank=True)
    title = models.TextField(default="", blank=True)
    listed_at = models.DateTimeField(null=True)  # last seen in TikTok's catalogue
    matches = models.PositiveIntegerField(default=0)  # variants that carried the seller SKU at the last match
    matched_at = models.DateTimeField(null=True)
    variant_gid = models.TextField(default="", blank=True)  # empty: not linked
    variant_title = models.TextField(default="", blank=True)
    by_hand = models.BooleanField(default=False)
    confirmed_at = models.DateTimeField(default=timezone.now)

    objects = SkuLinks.as_manager()

    class Meta:
        constraints = [UniqueConstraint(fields=["connection", "sku_id"], name="a_sku_is_known_once")]
        indexes = [
            Index(fields=["connection", "title", "id"], name="sku_linked", condition=~Q(variant_gid="")),
            Index(
                fields=["connection", "title", "id"],
                name="sku_unlinked",
                condition=Q(variant_gid="", matches__lte=1),
            ),
            Index(
                fields=["connection", "title", "id"],
                name="sku_conflict",
                condition=Q(variant_gid="", matches__gt=1),
            ),
            Index(fields=["connection", "seller_sku"], name="sku_seller_sku"),
        ]


class CarrierLink(models.Model):
    """The merchant's word for a carrier: a Shopify carrier name and the TikTok provider it means."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="carrier_links")
    company = models.TextField()  # normalised: carriers.normalise
    provider_id = models.TextField()
    provider_name = models.TextField(default="", blank=True)

    class Meta:
        constraints = [UniqueConstraint(fields=["connection", "company"], name="a_carrier_is_linked_once")]


class Consent(models.Model):
    """A merchant on the way to TikTok and back (DESIGN: consent). The code is kept encrypted, for minutes."""

    # in the signed state; for a return without one, made at the callback
    nonce = models.TextField(unique=True)
    app = models.TextField(default="US")
    shop = models.ForeignKey("shopify_app.Shop", on_delete=models.CASCADE, null=True, related_name="+")
    user = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    returned_at = models.DateTimeField(null=True)
    ticket = models.TextField(default="", blank=True)
    code_sealed = models.TextField(default="", blank=True)
    seller = models.ForeignKey("tiktok.Seller", on_delete=models.CASCADE, null=True, related_name="+")
    # TikTok shops that this consent opened
    shop_ids = ArrayField(models.TextField(), default=list, blank=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [UniqueConstraint(fields=["ticket"], condition=~Q(ticket=""), name="a_ticket_is_one")]


class Heartbeat(models.Model):
    """That a process lives: the clock writes it, /statusz reads it."""

    name = models.TextField(primary_key=True)
    at = models.DateTimeField()
