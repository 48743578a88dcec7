"""Webhooks: who subscribed to what, and their delivery, signed, retried, sometimes late or twice (contract 4)."""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import itertools
import json
import threading
import tomllib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from shopify_app.sandbox.payloads import RENDERERS

if TYPE_CHECKING:
    from shopify_app.sandbox.platform import Platform
    from shopify_app.sandbox.shop import ShopState

ANSWER_WITHIN = 5.0
CONNECT_WITHIN = 1.0
# Eight retries over four hours (Shopify contract 4.4).
RETRY_AFTER = (10, 30, 90, 300, 900, 2400, 4200, 6470)
COMPLIANCE = ("customers/data_request", "customers/redact", "shop/redact")
SCOPES = {
    "draft_orders": "read_draft_orders",
    "fulfillments": "read_fulfillments",
    "inventory_levels": "read_inventory",
    "orders": "read_orders",
    "products": "read_products",
    "refunds": "read_orders",
}
TOPICS = {topic.upper().replace("/", "_"): topic for topic in RENDERERS}
DEFAULT_TOPICS = (
    *("app/uninstalled", "app/scopes_update", "fulfillments/create", "fulfillments/update"),
    *("orders/cancelled", "draft_orders/create", "draft_orders/update", "draft_orders/delete"),
)
# Only a change of something included is worth a message of these.
CHANGE_TOPICS = frozenset(
    {
        "draft_orders/update",
        "fulfillments/update",
        "orders/updated",
        "products/update",
        "inventory_levels/update",
    }
)


@dataclass(frozen=True)
class Wanted:
    """One topic of one subscription in the app's configuration file, or of one shop's own."""

    topic: str
    uri: str
    include_fields: tuple[str, ...] = ()
    name: str | None = None
    own_gid: str | None = None


@dataclass
class Delivery:
    """A message on its way. The body and the headers stay the same over all attempts."""

    shop: str
    topic: str
    url: str
    body: bytes
    headers: dict[str, str]
    own_gid: str | None = None
    attempts: int = 0
    answers: list[int | str] = field(default_factory=list)
    delivered_at: datetime | None = None

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


def wanted_by_config(config: dict[str, Any]) -> list[Wanted]:
    """The subscriptions of a parsed shopify.app.toml."""
    found = []
    for entry in config.get("webhooks", {}).get("subscriptions", ()):
        for topic in (*entry.get("topics", ()), *entry.get("compliance_topics", ())):
            include = tuple(entry.get("include_fields", ()))
            found.append(Wanted(topic, entry["uri"], include, entry.get("name")))
    return found


def default_wanted() -> list[Wanted]:
    return [Wanted(topic, "/webhooks/shopify") for topic in (*DEFAULT_TOPICS, *COMPLIANCE)]


def load_config(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def signature(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


class Deliverer:
    """`sent` lists every finished delivery; `pause()` holds all back, `drop(n)` loses the next n messages."""

    def __init__(
        self, platform: Platform, wanted: Sequence[Wanted], app_url: str, hook_url: str | None
    ) -> None:
        self.platform = platform
        self.wanted = list(wanted)
        self.app_url = app_url
        self.hook_url = hook_url
        self.retry_scale = 1.0
        self.sent: list[Delivery] = []
        self.failed: list[Delivery] = []
        self.dropped: list[Delivery] = []
        self._to_drop = 0
        self._drop_share = 0.0
        self._paused = False
        self._stopped = False
        self._due: list[tuple[datetime, int, Delivery]] = []
        self._order = itertools.count()
        self._busy = 0
        self._seen: dict[tuple[str, str, str], str] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"shopify-sandbox-webhooks-{n}", daemon=True)
            for n in range(4)
        ]

    @property
    def late_or_doubled(self) -> float:
        return self.platform.settings.late_or_doubled

    @late_or_doubled.setter
    def late_or_doubled(self, share: float) -> None:
        self.platform.settings.late_or_doubled = share

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=ANSWER_WITHIN + 1)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def drop(self, count: int) -> None:
        """The next `count` messages are never delivered."""
        self._to_drop = count

    def drop_share(self, share: float) -> None:
        """From now on this share of all messages is never delivered."""
        self._drop_share = share

    def wait_until_quiet(self, timeout: float = 10.0) -> bool:
        """Wait until nothing is due or under way; retries that lie ahead do not count."""
        waited = threading.Event()
        for _ in range(int(timeout / 0.02)):
            with self._changed:
                now = self.platform.clock.now()
                if not self._busy and not (self._due and self._due[0][0] <= now):
                    return True
            waited.wait(0.02)
        return False

    def publish(
        self, shop: ShopState, topic: str, subject: Any, render: Callable[[], dict[str, Any]]
    ) -> None:
        """Queue the topic for everybody who wants it and may have it."""
        takers = [w for w in (*self.wanted, *self._own(shop)) if w.topic == topic]
        if not takers or not _may_have(shop, topic):
            return
        body = render()
        event_id = self._uuid()
        for wanted in takers:
            cut = _cut(body, wanted.include_fields) if wanted.include_fields else body
            raw = json.dumps(cut, ensure_ascii=False, separators=(",", ":")).encode()
            if self._changed_for(wanted, shop, body, raw):
                self._queue(self._message(shop, wanted, raw, event_id))

    def resend(self, delivery: Delivery) -> None:
        """The very same message once more, as a replay does."""
        self._push(self.platform.clock.now(), _copy(delivery))

    @property
    def _changed(self) -> threading.Condition:
        return self.platform.clock.moved

    def _own(self, shop: ShopState) -> list[Wanted]:
        return [
            Wanted(TOPICS.get(s.topic, s.topic), s.uri, tuple(s.include_fields), s.name, s.id)
            for s in shop.record.subscriptions.values()
        ]

    def _changed_for(self, wanted: Wanted, shop: ShopState, body: dict[str, Any], raw: bytes) -> bool:
        """With include_fields an update is only sent when one of them changed (Shopify contract 4.4)."""
        if not wanted.include_fields:
            return True
        family = wanted.topic.split("/")[0]
        gid = str(body.get("admin_graphql_api_id") or body.get("id"))
        key = (f"{family}|{','.join(wanted.include_fields)}|{wanted.uri}", shop.domain, gid)
        digest = hashlib.sha256(raw).hexdigest()
        before, self._seen[key] = self._seen.get(key), digest
        return wanted.topic not in CHANGE_TOPICS or before != digest

    def _message(self, shop: ShopState, wanted: Wanted, body: bytes, event_id: str) -> Delivery:
        now = self.platform.clock.now()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook",
            "X-Shopify-Topic": wanted.topic,
            "X-Shopify-Hmac-Sha256": signature(self.platform.api_secret, body),
            "X-Shopify-Shop-Domain": shop.domain,
            "X-Shopify-API-Version": self.platform.settings.served_version,
            "X-Shopify-Webhook-Id": self._uuid(),
            "X-Shopify-Event-Id": event_id,
            "X-Shopify-Triggered-At": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06d}789Z",
        }
        if wanted.name:
            headers["X-Shopify-Name"] = wanted.name
        return Delivery(shop.domain, wanted.topic, self._url(wanted), body, headers, wanted.own_gid)

    def _url(self, wanted: Wanted) -> str:
        if wanted.own_gid is None and self.hook_url:
            return self.hook_url
        return wanted.uri if "://" in wanted.uri else self.app_url + wanted.uri

    def _queue(self, delivery: Delivery) -> None:
        if self._to_drop or self.platform.random.random() < self._drop_share:
            self._to_drop = max(0, self._to_drop - 1)
            self.dropped.append(delivery)
            return
        now = self.platform.clock.now()
        settings, random = self.platform.settings, self.platform.random
        if random.random() >= settings.late_or_doubled:
            self._push(now, delivery)
            return
        later = now + timedelta(seconds=random.uniform(*settings.late_by))
        if random.random() < 0.5:
            self._push(now, delivery)
            self._push(later, _copy(delivery))
        else:
            self._push(later, delivery)

    def _push(self, due: datetime, delivery: Delivery) -> None:
        with self._changed:
            heapq.heappush(self._due, (due, next(self._order), delivery))
            self._changed.notify_all()

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while delivery := self._next():
                try:
                    self._attempt(session, delivery)
                finally:
                    with self._changed:
                        self._busy -= 1

    def _next(self) -> Delivery | None:
        with self._changed:
            while not self._stopped:
                wait = (self._due[0][0] - self.platform.clock.now()).total_seconds() if self._due else None
                if not self._paused and wait is not None and wait <= 0:
                    self._busy += 1
                    return heapq.heappop(self._due)[2]
                self._changed.wait(None if self._paused else wait)
            return None

    def _attempt(self, session: requests.Session, delivery: Delivery) -> None:
        delivery.attempts += 1
        answer = _post(session, delivery)
        delivery.answers.append(answer)
        if isinstance(answer, int) and 200 <= answer < 300:
            delivery.delivered_at = self.platform.clock.now()
            self.sent.append(delivery)
            self._count_failure(delivery, failed=False)
            return
        if self._stopped:
            return
        self._count_failure(delivery, failed=True)
        if delivery.attempts > len(RETRY_AFTER):
            self.failed.append(delivery)
            return
        wait = RETRY_AFTER[delivery.attempts - 1] * self.retry_scale
        self._push(self.platform.clock.now() + timedelta(seconds=wait), delivery)

    def _count_failure(self, delivery: Delivery, *, failed: bool) -> None:
        """A shop's own subscription is removed after eight failures in a row; the configuration's never is."""
        if delivery.own_gid is None:
            return
        with self.platform.lock:
            subscriptions = self.platform.shop(delivery.shop).record.subscriptions
            own = subscriptions.get(delivery.own_gid)
            if own is None:
                return
            own.failures = own.failures + 1 if failed else 0
            if own.failures >= len(RETRY_AFTER):
                del subscriptions[own.id]

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.platform.random.getrandbits(128), version=4))


def _cut(body: Any, fields: Sequence[str]) -> Any:
    """The fields that are asked for; one within another is named with a dot, also in each thing of a list."""
    inner: dict[str, list[str]] = {}
    for name, _, rest in (path.partition(".") for path in fields):
        inner.setdefault(name, []).extend([rest] if rest else [])
    if isinstance(body, list):
        return [_cut(thing, fields) for thing in body]
    return {k: _cut(v, inner[k]) if inner[k] else v for k, v in body.items() if k in inner}


def _may_have(shop: ShopState, topic: str) -> bool:
    if topic in COMPLIANCE:
        return True
    scope = SCOPES.get(topic.split("/", maxsplit=1)[0])
    return shop.installed and (scope is None or shop.has_scope(scope))


def _post(session: requests.Session, delivery: Delivery) -> int | str:
    try:
        answer = session.post(
            delivery.url,
            data=delivery.body,
            headers=delivery.headers,
            timeout=(CONNECT_WITHIN, ANSWER_WITHIN),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        return type(error).__name__
    return answer.status_code


def _copy(delivery: Delivery) -> Delivery:
    return Delivery(
        delivery.shop, delivery.topic, delivery.url, delivery.body, dict(delivery.headers), delivery.own_gid
    )
