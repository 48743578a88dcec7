"""Webhooks as TikTok sends them: signed, at least once, unordered, retried (TikTok contract 3)."""

import hashlib
import heapq
import hmac
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from tiktok.sandbox.contract import webhook_types
from tiktok.sandbox.state import App, Clock, Json

ANSWER_SECONDS = 3.0
RETRY_WAITS = (120.0, 1800.0, 10_800.0, 43_200.0)
SENDERS = 6


@dataclass(slots=True)
class Delivery:
    """One notification on its way to one address."""

    topic: str
    address: str
    shop_id: str
    order_id: str
    key: str
    body: bytes
    authorization: str


class Webhooks:
    """The deliverer. `sent` lists every attempt; chances are of 1 and drawn from the sandbox's seed."""

    def __init__(self, clock: Clock, rng: random.Random, violate: Callable[[str, str], None]) -> None:
        self.retry_scale = 1.0
        self.late_or_doubled = 1 / 50
        self.late_seconds = (2.0, 8.0)
        self.lose = 0.0  # share that is never delivered
        self.repeat = (1, 1)  # how often each is delivered, from and to
        self.shuffle_seconds = 0.0  # each is delayed by up to this
        self.hook_url: str | None = None  # overrides every app's address
        self.sent: list[Json] = []
        self._clock = clock
        self._rng = rng
        self._violate = violate
        self._queue: list[tuple[float, int, int, Delivery]] = []
        self._numbers = itertools.count()
        self._ready = threading.Condition()
        self._paused = False
        self._to_drop = 0
        self._in_flight = 0
        self._running = False
        self._threads: list[threading.Thread] = []
        clock.moved.append(self._wake)

    def start(self) -> None:
        self._running = True
        self._threads = [threading.Thread(target=self._send_due, daemon=True) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with self._ready:
            self._running = False
            self._ready.notify_all()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS + 1)

    def pause(self) -> None:
        """Keep everything back until resume()."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._wake()

    def drop(self, count: int) -> None:
        """Never deliver the next `count` notifications."""
        self._to_drop += count

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until nothing that is due is left; what waits for a later time does not count."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with self._ready:
                due = bool(self._queue) and self._queue[0][0] <= self._clock.time()
                if not due and not self._in_flight:
                    return True
            time.sleep(0.01)
        return False

    def post(self, app: App, address: str, topic: str, shop_id: str, data: Json) -> None:
        """Queue one notification; the caller holds the platform's lock, nothing is sent here."""
        address = self.hook_url or address
        if not address:
            return
        delivery = self._delivery(app, address, topic, shop_id, data)
        with self._ready:
            if self._to_drop:
                self._to_drop -= 1
                return
            if self._rng.random() < self.lose:
                return
            for delay in self._delays():
                self._push(self._clock.time() + delay, 0, delivery)
            self._ready.notify_all()

    def replay(self) -> None:
        """Send everything that ever went out once more, in a new order."""
        with self._ready:
            bodies = {entry["body"]: entry["_delivery"] for entry in self.sent}
            deliveries = list(bodies.values())
            self._rng.shuffle(deliveries)
            for delivery in deliveries:
                self._push(self._clock.time(), 0, delivery)
            self._ready.notify_all()

    def _delivery(self, app: App, address: str, topic: str, shop_id: str, data: Json) -> Delivery:
        body: Json = {"type": webhook_types()[topic]}
        key = f"3:{data.get('order_id')}:{data.get('update_time')}"
        if topic != "RECIPIENT_ADDRESS_UPDATE":
            key = body["tts_notification_id"] = str(7_559_000_000_000_000_000 + self._rng.randrange(10**15))
        body |= {"shop_id": shop_id, "timestamp": self._clock.seconds(), "data": data}
        raw = json.dumps(body, separators=(",", ":")).encode()
        signature = hmac.new(app.app_secret.encode(), app.app_key.encode() + raw, hashlib.sha256).hexdigest()
        return Delivery(topic, address, shop_id, str(data.get("order_id", "")), key, raw, signature)

    def _delays(self) -> list[float]:
        delays = [self._rng.uniform(0, self.shuffle_seconds) for _ in range(self._rng.randint(*self.repeat))]
        if self._rng.random() < self.late_or_doubled:
            if self._rng.random() < 0.5:
                delays[0] += self._rng.uniform(*self.late_seconds)
            else:
                delays.append(self._rng.uniform(0, self.late_seconds[1]))
        return delays

    def _push(self, due: float, attempt: int, delivery: Delivery) -> None:
        heapq.heappush(self._queue, (due, next(self._numbers), attempt, delivery))

    def _wake(self) -> None:
        with self._ready:
            self._ready.notify_all()

    def _send_due(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (due := self._next()) is not None:
                attempt, delivery = due
                accepted = self._attempt(session, delivery, attempt)
                with self._ready:
                    self._in_flight -= 1
                    if not accepted and attempt < len(RETRY_WAITS):
                        wait = RETRY_WAITS[attempt] * self.retry_scale
                        self._push(self._clock.time() + wait, attempt + 1, delivery)
                        self._ready.notify()

    def _next(self) -> tuple[int, Delivery] | None:
        with self._ready:
            while self._running:
                wait = self._queue[0][0] - self._clock.time() if self._queue else 1.0
                if wait <= 0 and not self._paused:
                    self._in_flight += 1
                    _, _, attempt, delivery = heapq.heappop(self._queue)
                    return attempt, delivery
                self._ready.wait(min(max(wait, 0.01), 1.0) if not self._paused else 1.0)
        return None

    def _attempt(self, session: requests.Session, delivery: Delivery, attempt: int) -> bool:
        began = time.monotonic()
        status, content, lost = 0, b"", ""
        try:
            reply = session.post(
                delivery.address,
                data=delivery.body,
                headers={"Content-Type": "application/json", "Authorization": delivery.authorization},
                timeout=(ANSWER_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
            status, content = reply.status_code, reply.content
        except requests.ReadTimeout:
            lost = "no answer"
        except requests.RequestException:
            lost = "no connection"
        took = time.monotonic() - began
        words = _complaint(status, content, took, lost)
        if words:
            self._violate("webhook", f"{delivery.topic}: {words}")
        self.sent.append(self._entry(delivery, attempt, status, took))
        return status == 200 and took <= ANSWER_SECONDS

    def _entry(self, delivery: Delivery, attempt: int, status: int, took: float) -> dict[str, Any]:
        return {
            "at": self._clock.now().isoformat(),
            "topic": delivery.topic,
            "shop_id": delivery.shop_id,
            "order_id": delivery.order_id,
            "key": delivery.key,
            "attempt": attempt,
            "status": status,
            "seconds": round(took, 3),
            "body": delivery.body.decode(),
            "authorization": delivery.authorization,
            "_delivery": delivery,
        }


def _complaint(status: int, content: bytes, took: float, lost: str) -> str:
    """What TikTok's rules say against the answer: 200, empty, within 3 s. A dead host breaks no rule."""
    if lost == "no answer" or (status and took > ANSWER_SECONDS):
        return "no answer within 3 s"
    if status and status != 200:
        return f"answered {status} instead of 200"
    if content:
        return "the answer's body must be empty"
    return ""
