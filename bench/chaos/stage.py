"""Everything that the run needs, started: both platforms in this process, the product's own processes beside it.

The sandboxes answer over real HTTP; that they live here lets the run read their ledgers without a copy.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import django

from bench.chaos.plan import SHOPS, Size
from connector.launcher import stack
from connector.launcher.children import Account, engine_account, kill_group, spawn
from connector.launcher.engines import (
    DURABLE,
    Engine,
    Postgres,
    Valkey,
    bring_up,
    check_reachable,
    socket_folder,
)
from connector.launcher.environment import environment_for_tests
from connector.launcher.processes import Program, Watch, Watched
from shopify_app.sandbox import ShopifySandbox
from shopify_app.sandbox.shop import ShopState
from tiktok.sandbox import TikTokSandbox

if TYPE_CHECKING:
    from connector.models import Connection
    from tiktok.models import Seller

WORKERS = 3
PORTS_FROM = 18_000
DOMAINS = tuple(f"chaos-{number + 1}.myshopify.com" for number in range(SHOPS))

# The waits of the product, shortened with the hold and with Shopify's lagging search (see harden). WORK_LEASE stays
# three times the deadline of a call.
WAITS = {
    "HOLD_LOOK_AGAIN_SECONDS": "1,1,2,5",
    "RECHECK_AFTER_FINALIZE_SECONDS": "4",
    "UNKNOWN_FULFILLMENT_WAITS": "1,4,10",
    "RECOVERY_WAITS": "1,3,10",
    "READY_WAITS": "0.3,0.5,1,1,2",
    "BACKOFF_BASE_SECONDS": "0.3",
    "BACKOFF_MAX_SECONDS": "3",
    "PULL_SECONDS": "3",
    "PULL_OVERLAP_SECONDS": "15",
    "CALL_DEADLINE_SECONDS": "3",
    "CONNECT_TIMEOUT_SECONDS": "1",
    "WORK_LEASE_SECONDS": "10",
}
# By their share; a third of what fails was done by the platform all the same.
TIKTOK_FAULTS = (
    *("500", "500", "500", "503", "503", "timeout_before", "timeout_before", "429"),
    *("lost_reply", "lost_reply", "500_after", "truncated"),
)
SHOPIFY_FAULTS = (
    *("500", "500", "500", "502", "503", "timeout_before", "timeout_before", "429"),
    *("lost_reply", "lost_reply", "lost_reply", "truncated"),
)
FAULT_SHARE = 0.2
NEVER_DELIVERED = 0.05
LATE_OR_DOUBLED = 0.02
CONSENTS = 20


@dataclass
class Stage:
    folder: Path
    tiktok: TikTokSandbox
    shopify: ShopifySandbox
    watch: Watch
    env: dict[str, str]
    tiktok_shops: list[str] = field(default_factory=list)  # shop ids, in the order of DOMAINS

    @property
    def stores(self) -> list[ShopState]:
        return [self.shopify.shop(domain) for domain in DOMAINS]

    def program(self, name: str) -> Watched:
        return next(one for one in self.watch.watched if one.program.name == name)

    def kill(self, name: str) -> bool:
        """SIGKILL for the program and all of its own children; False when it is down already."""
        child = self.program(name).child
        if child is None:
            return False
        kill_group(child, signal.SIGKILL)
        return True

    def crash_postgres(self) -> bool:
        """Its immediate shutdown: no goodbye to anybody, crash recovery at the next start."""
        child = self.program("postgres").child
        if child is None:
            return False
        child.send_signal(signal.SIGQUIT)
        return True

    def connection(self, number: int) -> "Connection":
        from connector.models import Connection

        return Connection.objects.get(tiktok_shop__shop_id=self.tiktok_shops[number])


@contextlib.contextmanager
def staged(size: Size, seed: int) -> Iterator[Stage]:
    """All of it, up and connected; gone at the end, whatever the way out."""
    account = engine_account()
    check_reachable(account)
    folder = socket_folder(account)
    watch = Watch()
    watch.listen_for_signals()
    try:
        [port] = stack.choose_ports({}, PORTS_FROM + os.getpid() % 2000, count=1)
        app_url = f"http://{stack.HOST}:{port}"
        with platforms(app_url, size, seed) as (tiktok, shopify):
            engines = start_engines(watch, folder, account)
            env = environment(engines, port, tiktok, shopify, size)
            stage = Stage(folder, tiktok, shopify, watch, env)
            meter(shopify, size.points)
            os.environ.update(env)  # this process reads our tables through the product's own models
            os.environ["DJANGO_SETTINGS_MODULE"] = "connector.settings"
            django.setup()
            migrate(env, folder)
            start_product(stage)
            understand()
            connect(stage)
            harden(stage)
            try:
                yield stage
            finally:
                watch.stop()
    finally:
        watch.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def platforms(app_url: str, size: Size, seed: int) -> Iterator[tuple[TikTokSandbox, ShopifySandbox]]:
    tiktok = TikTokSandbox(
        redirect_url=f"{app_url}/tiktok/callback",
        hook_url=f"{app_url}/webhooks/tiktok",
        hold_seconds=size.hold,
        seed=seed,
    )
    shopify = ShopifySandbox(app_url=app_url, shops=DOMAINS, seed=seed)
    with tiktok, shopify:
        yield tiktok, shopify


def start_engines(watch: Watch, folder: Path, account: Account) -> tuple[Postgres, Valkey]:
    """Both engines. Commits are written out at once, as in production; only the disk is not waited for."""
    options = DURABLE | {"fsync": "off"}
    postgres = Postgres(folder / "data", folder, folder / "postgres.log", account, options)
    valkey = Valkey(folder, folder / "valkey.log", account)
    engines: tuple[Engine, ...] = (postgres, valkey)
    for engine in engines:
        child = bring_up(engine)
        watch.start(Program(engine.name, engine.start, engine.log, engine.stop_signal, is_engine=True), child)
    return postgres, valkey


def environment(
    engines: tuple[Postgres, Valkey], port: int, tiktok: TikTokSandbox, shopify: ShopifySandbox, size: Size
) -> dict[str, str]:
    app = tiktok.apps["US"]
    return (
        {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        | environment_for_tests(*engines)
        | WAITS
        | {
            "HOLD_EXPECTED_SECONDS": str(size.hold),
            "PORT": str(port),
            "APP_URL": f"http://{stack.HOST}:{port}",
            "WEB_PROCESSES": "2",
            "WORKER_PROCESSES": str(WORKERS),
            "LOG_FORMAT": "json",
            "SHOPIFY_API_KEY": shopify.api_key,
            "SHOPIFY_API_SECRET": shopify.api_secret,
            "SHOPIFY_SHOP_URL": shopify.shop_url,
            "SHOPIFY_ADMIN_URL": f"{shopify.url}/admin",
            "SHOPIFY_CDN_URL": shopify.cdn_url,
            "TIKTOK_APP_KEY": app.app_key,
            "TIKTOK_APP_SECRET": app.app_secret,
            "TIKTOK_SERVICE_ID": app.service_id,
            "TIKTOK_API_URL": tiktok.url,
            "TIKTOK_AUTH_URL": tiktok.url,
            "TIKTOK_CONSENT_URL": f"{tiktok.url}/open/authorize",
        }
    )


def migrate(env: Mapping[str, str], folder: Path) -> None:
    with (folder / "prepare.log").open("wb") as log:
        for words in (["check"], ["migrate", "--no-input"]):
            subprocess.run(stack.manage(*words), env=dict(env), cwd=stack.PROJECT, stdout=log, check=True)


def start_product(stage: Stage) -> None:
    commands = {
        "web": stack.web_command(stage.env),
        **{f"worker{number + 1}": stack.worker_command() for number in range(WORKERS)},
        "clock": stack.manage("clock"),
    }
    for name, command in commands.items():
        start(stage, name, command)
    stack.wait_until_ready(stage.program("web"), f"{stage.env['APP_URL']}/readyz")


def start(stage: Stage, name: str, command: list[str]) -> None:
    log = stage.folder / f"{name}.log"

    def begin() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return spawn(command, env=stage.env, output=output, cwd=stack.PROJECT)

    stage.watch.start(Program(name, begin, log))


def understand() -> None:
    """The sandbox's first look at Shopify's schema takes seconds of a busy machine: not within a call's deadline."""
    import shopify_app.client
    from shopify_app.sandbox.engine import Engine

    for operation in vars(shopify_app.client).values():
        if isinstance(operation, shopify_app.client.Operation):
            Engine().understand(operation.text)


def connect(stage: Stage) -> None:
    """Each store with a TikTok shop of its own, as the embedded page does it."""
    from django.utils import timezone

    from connector.models import Connection
    from connector.transport import session
    from shopify_app.models import Shop

    for number, domain in enumerate(DOMAINS):
        made = stage.tiktok.add_seller(f"Chaos {number + 1}")
        stage.tiktok_shops.append(made["shop_ids"][0])
        seller = consented(stage, number)
        shop = Shop.install(domain, stage.shopify.id_token(domain), session())
        Connection.objects.create(shop=shop, tiktok_shop=seller.shops.get(), due_at=timezone.now())


def consented(stage: Stage, number: int) -> "Seller":
    from connector.transport import session
    from tiktok import client, oauth
    from tiktok.models import Seller

    url = stage.tiktok.consent(stage.tiktok_shops[number], state="-")
    code = url.split("code=")[1].split("&")[0]
    grant = oauth.exchange("US", code, session())
    return Seller.connect("US", grant, client.get_shops("US", grant.access_token, session()))


def reconnect(stage: Stage, number: int) -> bool:
    """The seller consents anew, as often as it takes: a code serves once, and TikTok fails now and then."""
    from tiktok.errors import TikTokError

    for _ in range(CONSENTS):
        with contextlib.suppress(TikTokError):
            consented(stage, number)
            stage.connection(number).resume()
            return True
    return False


def meter(shopify: ShopifySandbox, points: float) -> None:
    """What Shopify's plan gives each shop; a bucket holds 20 seconds of it (contract 5)."""
    shopify.settings.change(restore=points, bucket=20 * points)


def harden(stage: Stage) -> None:
    """From here on the network and both platforms are at their worst."""
    harden_tiktok(stage)
    stage.shopify.faults.chance(FAULT_SHARE, SHOPIFY_FAULTS)
    stage.shopify.webhooks.drop_share(NEVER_DELIVERED)
    stage.shopify.webhooks.late_or_doubled = LATE_OR_DOUBLED
    stage.shopify.webhooks.retry_scale = 0.2
    stage.shopify.settings.change(search_lag=(0.3, 1.3), late_by=(0.5, 5.0))


def harden_tiktok(stage: Stage) -> None:
    stage.tiktok.faults.share(FAULT_SHARE, *TIKTOK_FAULTS, seconds=1)
    stage.tiktok.webhooks.lose = NEVER_DELIVERED
    stage.tiktok.webhooks.repeat = (1, 5)
    stage.tiktok.webhooks.shuffle_seconds = 2.0
    stage.tiktok.webhooks.late_or_doubled = LATE_OR_DOUBLED
    stage.tiktok.webhooks.retry_scale = 0.02


def calm(stage: Stage) -> None:
    """Nothing goes wrong, nothing comes late, twice or never."""
    stage.tiktok.faults.clear()
    stage.tiktok.webhooks.lose = 0.0
    stage.tiktok.webhooks.repeat = (1, 1)
    stage.tiktok.webhooks.shuffle_seconds = 0.0
    stage.tiktok.webhooks.late_or_doubled = 0.0
    stage.shopify.faults.clear()
    stage.shopify.webhooks.drop_share(0)
    stage.shopify.webhooks.late_or_doubled = 0.0


def silence(stage: Stage) -> None:
    """No webhook of either platform is delivered any more; calls fail as before."""
    stage.tiktok.webhooks.lose = 1.0
    stage.shopify.webhooks.drop_share(1.0)


def storm(stage: Stage) -> None:
    """Every call is answered by 429."""
    stage.tiktok.faults.share(1.0, "429", seconds=1)
    stage.shopify.faults.chance(1.0, ("429",))
