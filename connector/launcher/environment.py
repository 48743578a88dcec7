"""What the children read: environment for tests, for `run` and for `up`."""

import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from connector.launcher.engines import Postgres, Valkey

DEMO_SHOP = "tts-demo-store.myshopify.com"
# What a program needs from the person's own environment, whatever else is set there.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
LOCAL_PLATFORMS = {"ALLOW_LOCAL_PLATFORMS": "1", "DEBUG": "0", "ADMIN_ENABLED": "0"}

# A demo is watched: what takes an hour in the world takes seconds here. Any of them can be set from outside.
DEMO_WAITS = {
    "HOLD_EXPECTED_SECONDS": "15",
    "HOLD_LOOK_AGAIN_SECONDS": "1,1,2,5",
    "RECHECK_AFTER_FINALIZE_SECONDS": "10",
    "PULL_SECONDS": "15",
    "PULL_OVERLAP_SECONDS": "60",
    "DEMO_ORDER_SECONDS": "20",
    "LOG_LEVEL": "INFO",
}

WHAT_TO_LOOK_AT = (
    "It is a stand-in for the Shopify admin with the app inside it. New TikTok orders keep coming:",
    "on hold, then finalized, then shipped; one is cancelled in its hold, TikTok ships one itself, one has",
    "a SKU that no product has, one gets a wrong carrier, one goes out in two parcels. The panel beside the",
    "app places, releases, cancels and ships orders. Ctrl-C stops everything; `make clean` forgets the data.",
)


def demo_keys(file: Path) -> dict[str, str]:
    """The demo's own secrets, made once and readable by their owner only."""
    if file.exists():
        found: dict[str, str] = json.loads(file.read_text())
        return found
    keys = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "STATUS_TOKEN": secrets.token_urlsafe(24),
        "SHOPIFY_API_KEY": secrets.token_hex(16),
        "SHOPIFY_API_SECRET": f"shpss_{secrets.token_hex(16)}",
        "TIKTOK_APP_KEY": secrets.token_hex(7),
        "TIKTOK_APP_SECRET": secrets.token_hex(20),
        "TIKTOK_SERVICE_ID": str(secrets.randbelow(10**18) + 7 * 10**18),
    }
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        json.dump(keys, written, indent=1)
    return keys


def run_environment(
    outside: Mapping[str, str], keys: Mapping[str, str], ports: Sequence[int], engines: Mapping[str, str]
) -> dict[str, str]:
    """A demo's environment. `ports`: web, Shopify sandbox, TikTok sandbox; `engines`: their URLs.

    Nothing of a real store leaks in: what a `.env` file may hold and the demo does not use is set empty.
    """
    web, shopify, tiktok = (f"http://127.0.0.1:{port}" for port in ports)
    return (
        {name: outside[name] for name in KEPT if name in outside}
        | {name: outside.get(name, value) for name, value in DEMO_WAITS.items()}
        | LOCAL_PLATFORMS
        | dict(keys)
        | dict(engines)
        | {
            "PORT": str(ports[0]),
            "HOST": "127.0.0.1",
            "APP_URL": web,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "WORKER_PROCESSES": "1",
            "WEB_PROCESSES": "2",
            "LOG_FORMAT": "json",
            "SENTRY_DSN": "",
            "EMAIL_URL": "",
            "SHOPIFY_API_SECRET_OLD": "",
            "SHOPIFY_APP_HANDLE": "tiktok-shop-connector",
            "SHOPIFY_SHOP_URL": f"{shopify}/shops/{{shop}}",
            "SHOPIFY_ADMIN_URL": f"{shopify}/admin",
            "SHOPIFY_CDN_URL": f"{shopify}/cdn",
            "TIKTOK_API_URL": tiktok,
            "TIKTOK_AUTH_URL": tiktok,
            "TIKTOK_CONSENT_URL": f"{tiktok}/open/authorize",
            "TIKTOK_APP_KEY_ROW": "",
        }
    )


def environment_for_tests(postgres: Postgres, valkey: Valkey) -> dict[str, str]:
    """Every value settings.py asks for. Platform URLs lead nowhere until a test sets those of its sandbox."""
    return LOCAL_PLATFORMS | {
        "SECRET_KEY": "a-key-for-tests-only-0123456789-0123456789-0123456789",
        "APP_URL": "http://127.0.0.1:8000",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "DATABASE_URL": postgres.url,
        "REDIS_URL": valkey.url,
        "TOKEN_ENCRYPTION_KEYS": ",".join(
            base64.urlsafe_b64encode(key).decode() for key in (b"n" * 32, b"o" * 32)
        ),
        "STATUS_TOKEN": "status-token",
        "SHOPIFY_API_KEY": "shopify-key",
        "SHOPIFY_API_SECRET": "shopify-secret-0123456789-0123456789",
        "SHOPIFY_API_SECRET_OLD": "shopify-old-secret-0123456789-012345",
        "SHOPIFY_APP_HANDLE": "tiktok-shop-connector",
        "SHOPIFY_SHOP_URL": "http://127.0.0.1:9/{shop}",
        "SHOPIFY_ADMIN_URL": "http://127.0.0.1:9/admin",
        "SHOPIFY_CDN_URL": "http://127.0.0.1:9/cdn",
        "TIKTOK_APP_KEY": "tiktok-key",
        "TIKTOK_APP_SECRET": "tiktok-secret-0123456789",
        "TIKTOK_SERVICE_ID": "7000000000000000001",
        "TIKTOK_API_URL": "http://127.0.0.1:9/tiktok-api",
        "TIKTOK_AUTH_URL": "http://127.0.0.1:9/tiktok-auth",
        "TIKTOK_CONSENT_URL": "http://127.0.0.1:9/tiktok-consent",
        "CALL_DEADLINE_SECONDS": "3",
        "CONNECT_TIMEOUT_SECONDS": "1",
        "BACKOFF_BASE_SECONDS": "0.05",
        "READY_WAITS": "0.05,0.1,0.2,0.4,0.8,1,1,1",
        "LOG_FORMAT": "console",
    }
