"""What is measured, started as in production: engines, web, worker and clock as processes of their own.

Both platforms live in this process, behind real HTTP, with easy manners: no search lag, `ready` at once, webhooks
once and in time. What they cost is never counted as ours.
"""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import psutil
import redis
import requests

from bench.chaos import stage as chaos_stage
from bench.chaos.plan import QUICK
from connector.launcher import stack
from connector.launcher.children import engine_account, kill_group, spawn
from connector.launcher.engines import (
    DURABLE,
    Postgres,
    Valkey,
    bring_down,
    bring_up,
    check_reachable,
    socket_folder,
)
from shopify_app.sandbox import ShopifySandbox
from shopify_app.sandbox.engine import Engine, Operation, Reply
from shopify_app.sandbox.shop import ShopState
from tiktok.sandbox import TikTokSandbox

PORTS_FROM = 20_000
SHOPS = 3  # unless a part asks for more
STOP_SECONDS = 15
# As in production but for these: settings that tests shorten keep the product's own defaults.
SHORTENED = {
    *chaos_stage.WAITS,
    "CALL_DEADLINE_SECONDS",
    "CONNECT_TIMEOUT_SECONDS",
    "BACKOFF_BASE_SECONDS",
    "READY_WAITS",
}
PLENTY = {"bucket": 1_000_000.0, "restore": 100_000.0}


class Running:
    """One program of ours, with its children, and what it costs."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self.child = spawn(command, env=env, output=output, cwd=stack.PROJECT)
        self.process = psutil.Process(self.child.pid)

    def ask_to_stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(STOP_SECONDS)
        kill_group(self.child, signal.SIGKILL)
        self.child.wait()

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process)

    def megabytes(self) -> list[float]:
        """Resident memory of each of its processes."""
        return [one.memory_info().rss / 1e6 for one in family(self.process)]


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time so far, of a process and its children."""
    times = [one.cpu_times() for one in family(process)]
    return sum(one.user + one.system for one in times)


class Machine:
    """All of the machine's cores, whoever uses them, from now on."""

    def __init__(self) -> None:
        self._began = psutil.cpu_times()

    def share(self) -> float:
        """How much of them was used."""
        now = psutil.cpu_times()
        idle = sum(getattr(now, name, 0.0) - getattr(self._began, name, 0.0) for name in ("idle", "iowait"))
        whole = sum(now) - sum(self._began)
        return 1 - idle / whole if whole else 0.0

    def seconds(self) -> float:
        """CPU seconds that were there to be used."""
        return sum(psutil.cpu_times()) - sum(self._began)


@dataclass(frozen=True, slots=True)
class Store:
    """A Shopify shop and the TikTok shop that feeds it."""

    domain: str
    tiktok_shop_id: str
    shop_id: int  # of our row


@dataclass(frozen=True, slots=True)
class Call:
    """One Admin API call as Shopify metered it."""

    at: float  # time.time()
    shop: str
    name: str
    points: int
    throttled: bool


class MeteredEngine(Engine):
    """Shopify's GraphQL, and a note of what each answer charged."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def run(self, shop: ShopState, operation: Operation, variables: Mapping[str, Any]) -> Reply:
        reply = super().run(shop, operation, variables)
        cost = reply.body.get("extensions", {}).get("cost", {})
        points = cost.get("actualQueryCost")
        self.calls.append(
            Call(time.time(), shop.domain, ",".join(operation.roots), int(points or 0), points is None)
        )
        return reply


@dataclass
class Ground:
    folder: Path
    env: dict[str, str]
    postgres: Postgres
    tiktok: TikTokSandbox
    shopify: ShopifySandbox
    engine: MeteredEngine
    database: psutil.Process  # PostgreSQL's first process
    running: dict[str, Running] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.env["APP_URL"]

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Running:
        self.running[name] = Running(command, self.env | dict(env or {}), self.folder / f"{name}.log")
        return self.running[name]

    def start_web(self) -> float:
        """Seconds until the web answers that it is ready."""
        return self._ready_after("web", stack.web_command(self.env), f"{self.url}/readyz")

    def start_server(self, name: str, command: Sequence[str], url: str, env: Mapping[str, str]) -> float:
        """Another server to compare with; it is up when `url` answers."""
        return self._ready_after(name, command, url, env)

    def start_workers(self, count: int = 1) -> None:
        for number in range(count):
            self.start(f"worker{number + 1}", stack.worker_command())
        self.start("clock", stack.manage("clock"))

    def stop(self, *names: str) -> None:
        ended = [self.running.pop(name) for name in names if name in self.running]
        for one in ended:
            one.ask_to_stop()
        for one in ended:
            one.stop()

    def stop_workers(self) -> None:
        self.stop(*[name for name in self.running if name.startswith("worker") or name == "clock"])

    def cpu_seconds(self) -> dict[str, float]:
        """Of each program of ours; engines and platforms are not ours."""
        return {name: one.cpu_seconds() for name, one in self.running.items()}

    def meter(self, **settings: float) -> None:
        """Give every shop this bucket, full."""
        self.shopify.settings.change(**settings)
        for shop in self.shopify.shops.values():
            shop.bucket.give_back(int(settings["bucket"]))
        forget_budgets()

    def _ready_after(
        self, name: str, command: Sequence[str], url: str, env: Mapping[str, str] | None = None
    ) -> float:
        began = time.monotonic()
        one = self.start(name, command, env)
        while not answers(url):
            if one.child.poll() is not None or time.monotonic() > began + stack.ANSWER_SECONDS:
                raise RuntimeError(f"{name} did not start; see {self.folder / name}.log")
            time.sleep(0.01)
        return time.monotonic() - began


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def forget_budgets() -> None:
    """What workers share of the platforms' budgets in Valkey: it belongs to an earlier measurement."""
    forget("shopify:*", "tiktok:budget:*")


def forget_wakes() -> None:
    """Raised flags and queued turns."""
    forget("connector:awake:*", "rq:*")


def forget(*patterns: str) -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as valkey:
        for pattern in patterns:
            for key in list(valkey.scan_iter(pattern)):
                valkey.delete(key)


@contextlib.contextmanager
def prepared(shops: int = SHOPS) -> Iterator[Ground]:
    """Engines up, database migrated, shops connected, nothing of ours running yet. All gone at the end."""
    account = engine_account()
    check_reachable(account)
    folder = socket_folder(account)
    engines: list[tuple[subprocess.Popen[bytes], Postgres | Valkey]] = []
    ground: Ground | None = None
    try:
        postgres = Postgres(folder / "data", folder, folder / "postgres.log", account, dict(DURABLE))
        valkey = Valkey(folder, folder / "valkey.log", account)
        for engine in (postgres, valkey):
            engines.append((bring_up(engine), engine))
        [port] = stack.choose_ports({}, PORTS_FROM + os.getpid() % 2000, count=1)
        with platforms(f"http://{stack.HOST}:{port}", shops) as (tiktok, shopify):
            env = environment((postgres, valkey), port, tiktok, shopify)
            os.environ.update(env)  # this process reads our tables through the product's own models
            os.environ["DJANGO_SETTINGS_MODULE"] = "connector.settings"
            django.setup()
            # of this process; the product's own have their files
            logging.getLogger().setLevel(logging.WARNING)
            chaos_stage.migrate(env, folder)
            metered = MeteredEngine()
            shopify.engine = metered
            ground = Ground(
                folder, env, postgres, tiktok, shopify, metered, psutil.Process(engines[0][0].pid)
            )
            connect(ground, shops)
            try:
                yield ground
            finally:
                ground.stop(*ground.running)
    finally:
        for child, engine in reversed(engines):
            bring_down(child, engine)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def platforms(app_url: str, shops: int) -> Iterator[tuple[TikTokSandbox, ShopifySandbox]]:
    tiktok = TikTokSandbox(
        redirect_url=f"{app_url}/tiktok/callback", hook_url=f"{app_url}/webhooks/tiktok", easy=True
    )
    shopify = ShopifySandbox(
        app_url=app_url, shops=[domain(n) for n in range(shops)], easy=True, tiktok_url=tiktok.url
    )
    shopify.settings.change(**PLENTY)
    with tiktok, shopify:
        yield tiktok, shopify


def domain(number: int) -> str:
    return f"bench-{number + 1}.myshopify.com"


def environment(
    engines: tuple[Postgres, Valkey], port: int, tiktok: TikTokSandbox, shopify: ShopifySandbox
) -> dict[str, str]:
    env = chaos_stage.environment(engines, port, tiktok, shopify, QUICK)
    production = {name: value for name, value in env.items() if name not in SHORTENED}
    del production["HOLD_EXPECTED_SECONDS"]
    return production | {"WORKER_PROCESSES": "1", "LOG_LEVEL": "INFO"}


def connect(ground: Ground, shops: int) -> None:
    """So many stores, each with a TikTok shop of its own."""
    for number in range(len(ground.stores), shops):
        connect_store(ground, domain(number), f"Bench {number + 1}")


def connect_store(ground: Ground, domain: str, name: str) -> None:
    """As the embedded page does it."""
    from django.utils import timezone

    from connector.models import Connection
    from connector.transport import session
    from shopify_app.models import Shop
    from tiktok import client, oauth
    from tiktok.models import Seller

    if domain not in ground.shopify.shops:
        ground.shopify.add_shop(domain)
    made = ground.tiktok.add_seller(name)
    code = ground.tiktok.consent(made["open_id"], state="-").split("code=")[1].split("&")[0]
    grant = oauth.exchange("US", code, session())
    seller = Seller.connect("US", grant, client.get_shops("US", grant.access_token, session()))
    shop = Shop.install(domain, ground.shopify.id_token(domain), session())
    Connection.objects.create(shop=shop, tiktok_shop=seller.shops.get(), due_at=timezone.now())
    ground.stores.append(Store(domain, made["shop_ids"][0], shop.pk))
