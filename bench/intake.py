"""Webhook intake with the workers stopped: ours beside the least Django can do and beside Shopify's Node library.

All servers are up, the same load goes to each in turn, several rounds, medians. Two processes each, on the machine's
cores together with PostgreSQL and the sender.
"""

import base64
import hashlib
import hmac
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import unquote

from django.db import connection

from bench import bare_table, load
from bench.figures import Figure, Section, at_least, at_most, left_out, told
from bench.ground import Ground, Store, cpu_seconds
from bench.life import percentile
from connector.launcher import stack
from connector.models import InboxEvent

NODE = Path(__file__).parent / "node"
STEADY_RATE = 200.0
NUMBERS = itertools.count(int(time.time() * 1000))


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    program: str
    port: int
    path: str
    make: object  # Callable[[int], list[bytes]]: as many signed requests, none twice


@dataclass(frozen=True, slots=True)
class Speed:
    """Webhooks a second, and the CPU of server and PostgreSQL for one (µs): the second holds on a busy machine too."""

    rate: float
    cpu: float


def measure(ground: Ground, requests: int, rounds: int, steady_seconds: float) -> Section:
    ports = stack.choose_ports({}, int(ground.env["PORT"]) + 1, count=2)
    targets = [
        Target(
            "shopify",
            "web",
            int(ground.env["PORT"]),
            "/webhooks/shopify",
            shopify_maker(ground, "/webhooks/shopify"),
        ),
        Target("tiktok", "web", int(ground.env["PORT"]), "/webhooks/tiktok", tiktok_maker(ground)),
        start_bare(ground, ports[0]),
    ]
    node, why = start_node(ground, ports[1])
    targets += [node] if node else []
    try:
        speeds = interleave(ground, targets, requests, rounds)
        steady = {
            one.name: percentile(sorted(fire(one, int(STEADY_RATE * steady_seconds), STEADY_RATE)[1]), 99)
            * 1000
            for one in targets[:3]
        }
    finally:
        ground.stop("bare", "node")
        InboxEvent.objects.all().delete()  # no worker shall ever see them
    return Section("Webhook intake, workers stopped", figures(speeds, steady, why), (NOTE,), LIMIT)


NOTE = (
    "At saturation: 16 connections, each server with two processes. Ratios are of medians over interleaved rounds "
    "of one run. Ours verifies, names the owner, stores once and rings for the worker."
)


LIMIT = (
    "Server, PostgreSQL and the sender share the cores. Ours passes no request, route or response of Django's and has "
    "its statement planned once for each connection; it also names the shop and writes a row with four indexes more."
)


def figures(speeds: dict[str, Speed], steady: dict[str, float], why_no_node: str) -> list[Figure]:
    bare, node = speeds["bare"], speeds.get("node")
    found = [
        speed("POST /webhooks/shopify", speeds["shopify"]),
        speed("POST /webhooks/tiktok", speeds["tiktok"]),
        speed("a bare Django view (HMAC + one INSERT)", bare),
        speed("Shopify's Node library + Express + pg", node) if node else left_out("Node", why_no_node),
    ]
    for name in ("shopify", "tiktok"):
        ours = speeds[name]
        found.append(at_least(f"{name}: rate ÷ bare view's", ours.rate / bare.rate, 0.8, " ×"))
        found.append(told(f"{name}: the same by CPU, bare view's ÷ ours", bare.cpu / ours.cpu, " ×"))
        if node:
            found.append(at_least(f"{name}: rate ÷ Node's", ours.rate / node.rate, 1.0, " ×"))
            found.append(told(f"{name}: the same by CPU, Node's ÷ ours", node.cpu / ours.cpu, " ×"))
    found.append(told("bare view: p99 at 200/s, by which to judge the machine", steady.pop("bare"), " ms"))
    return found + [at_most(f"{name}: p99 at 200/s", value, 50, " ms") for name, value in steady.items()]


def speed(name: str, found: Speed) -> Figure:
    return told(
        f"{name}: at saturation; CPU of server and PostgreSQL for one",
        f"{found.rate:,.0f}/s; {found.cpu:,.0f} µs",
    )


def interleave(ground: Ground, targets: list[Target], requests: int, rounds: int) -> dict[str, Speed]:
    """Medians of each over rounds that take turns."""
    for one in targets:
        fire(one, requests // 4)
    found: dict[str, list[Speed]] = {one.name: [] for one in targets}
    for _ in range(rounds):
        for one in targets:
            before = cpu_of(ground, one)
            seconds, _ = fire(one, requests)
            cpu = (cpu_of(ground, one) - before) / requests * 1e6
            found[one.name].append(Speed(requests / seconds, cpu))
    return {
        name: Speed(median(one.rate for one in speeds), median(one.cpu for one in speeds))
        for name, speeds in found.items()
    }


def cpu_of(ground: Ground, one: Target) -> float:
    return ground.running[one.program].cpu_seconds() + cpu_seconds(ground.database)


def fire(one: Target, requests: int, rate: float = 0.0) -> tuple[float, list[float]]:
    """Seconds it took, and each answer's latency. An answer other than 200 is an error."""
    plan = load.Plan("127.0.0.1", one.port, one.make(requests), rate=rate)  # type: ignore[operator]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=pickle.dumps(plan),
        stdout=subprocess.PIPE,
        check=True,
        cwd=stack.PROJECT,
    )
    found = json.loads(done.stdout)
    if found["bad"]:
        raise RuntimeError(f"{one.name}: {found['bad']} of {requests} webhooks were not answered with 200")
    return found["seconds"], found["latencies"]


def shopify_maker(ground: Ground, path: str):  # type: ignore[no-untyped-def]
    """Signed fulfillments/create messages of one store; only their ids differ."""
    store, secret = ground.stores[0], ground.env["SHOPIFY_API_SECRET"].encode()
    body = json.dumps(
        {
            "id": 5_300_000_000_001,
            "order_id": 6_200_000_000_001,
            "status": "success",
            "admin_graphql_api_id": "gid://shopify/Fulfillment/5300000000001",
            "created_at": "2026-11-20T18:30:00Z",
            "updated_at": "2026-11-20T18:30:00Z",
        }
    ).encode()
    signature = base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()
    fixed = [
        ("X-Shopify-Topic", "fulfillments/create"),
        ("X-Shopify-Hmac-Sha256", signature),
        ("X-Shopify-Shop-Domain", store.domain),
        ("X-Shopify-API-Version", "2026-10"),
        ("X-Shopify-Triggered-At", "2026-11-20T18:30:00.000Z"),
    ]

    def make(count: int) -> list[bytes]:
        return [
            load.post(path, "127.0.0.1", [*fixed, ("X-Shopify-Webhook-Id", f"bench-{next(NUMBERS)}")], body)
            for _ in range(count)
        ]

    return make


def tiktok_maker(ground: Ground):  # type: ignore[no-untyped-def]
    """Signed ORDER_STATUS_CHANGE messages; the notification id is in the body, so each has its own signature."""
    app, store = ground.tiktok.apps["US"], ground.stores[0]

    def make(count: int) -> list[bytes]:
        return [tiktok_post(app.app_key, app.app_secret, store) for _ in range(count)]

    return make


def tiktok_post(key: str, secret: str, store: Store) -> bytes:
    number = next(NUMBERS)
    body = json.dumps(
        {
            "type": 1,
            "tts_notification_id": str(number),
            "shop_id": store.tiktok_shop_id,
            "timestamp": int(time.time()),
            "data": {
                "order_id": f"577{number}",
                "order_status": "AWAITING_SHIPMENT",
                "is_on_hold_order": False,
                "update_time": int(time.time()),
            },
        },
        separators=(",", ":"),
    ).encode()
    signature = hmac.new(secret.encode(), key.encode() + body, hashlib.sha256).hexdigest()
    return load.post("/webhooks/tiktok", "127.0.0.1", [("Authorization", signature)], body)


def start_bare(ground: Ground, port: int) -> Target:
    with connection.cursor() as cursor:
        cursor.execute(bare_table.CREATE)
    command = [*stack.web_command(ground.env | {"PORT": str(port)})[:-1], "bench.bare:application"]
    ground.start_server("bare", command, f"http://127.0.0.1:{port}/healthz", {})
    return Target("bare", "bare", port, "/webhooks", shopify_maker(ground, "/webhooks"))


def start_node(ground: Ground, port: int) -> tuple[Target | None, str]:
    """The Node server, or why there is none."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        return None, "no Node on this machine"
    folder = ground.folder / "node"
    shutil.copytree(NODE, folder)
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, capture_output=True, check=False
    )
    if installed.returncode:
        return None, "npm could not install its packages"
    sockets = unquote(ground.env["DATABASE_URL"].split("@/")[1].rsplit("/", 1)[0])
    env = {
        "PORT": str(port),
        "NODE_ENV": "production",
        "PGHOST": sockets,
        "PGUSER": "connector",
        "PGDATABASE": "connector",
        "PATH": os.environ["PATH"],
    }
    ground.start_server("node", [node, str(folder / "server.mjs")], f"http://127.0.0.1:{port}/healthz", env)
    return Target("node", "node", port, "/webhooks", shopify_maker(ground, "/webhooks")), ""
