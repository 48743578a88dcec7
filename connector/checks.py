"""Settings that are missing, cannot be read or contradict each other, each one line with an id (`manage.py check`)."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, Warning, register, run_checks

from tiktok.endpoints import SHIP

OURS = "connector"
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
SEARCHABLE = timedelta(seconds=60)  # so long after a create, Shopify's search may not know the draft yet


def refuse_to_start() -> None:
    """For a process that none of Django's commands starts, as those run the checks by themselves."""
    if found := [said for said in run_checks(tags=[OURS]) if said.level >= ERROR]:
        raise SystemExit("\n".join(map(str, found)))


@register(OURS)
def variables(**_: Any) -> list[CheckMessage]:
    missing = [Error(f"{name} is not set.", id="connector.E005") for name in settings.MISSING]
    return [*missing, *(Error(sentence, id="connector.E006") for sentence in settings.UNREADABLE)]


@register(OURS)
def service_ids(**_: Any) -> list[CheckMessage]:
    """Nothing but the way to the consent page needs it: shops that are connected go on without."""
    missing = [
        f"TIKTOK_SERVICE_ID{suffix(app)}"
        for app, conf in settings.TIKTOK_APPS.items()
        if not conf["service_id"]
    ]
    return [
        Warning(f"{name} is not set: no seller can connect a shop.", id="connector.W001") for name in missing
    ]


@register(OURS)
def second_create(**_: Any) -> list[CheckMessage]:
    """A sandbox's search knows a draft sooner."""
    if settings.RECOVERY_WAITS[-1] < SEARCHABLE and not settings.ALLOW_LOCAL_PLATFORMS:
        return [
            Error(
                "The last of RECOVERY_WAITS must be at least 60 seconds, or an order can get a second draft.",
                id="connector.E007",
            )
        ]
    return []


@register(OURS)
def ship_version(**_: Any) -> list[CheckMessage]:
    if settings.TIKTOK_SHIP_VERSION not in SHIP:
        return [Error(f"TIKTOK_SHIP_VERSION must be one of {', '.join(SHIP)}.", id="connector.E008")]
    return []


@register(OURS)
def waits(**_: Any) -> list[CheckMessage]:
    if settings.WORK_LEASE.total_seconds() < 3 * settings.CALL_DEADLINE_SECONDS:
        return [
            Error(
                "WORK_LEASE_SECONDS must be at least three times CALL_DEADLINE_SECONDS, or a slow call loses its row.",
                id="connector.E001",
            )
        ]
    return []


@register(OURS)
def platforms(**_: Any) -> list[CheckMessage]:
    """A sandbox is only another URL; a public app must never be pointed at one by accident."""
    local = [name for name, url in platform_urls().items() if is_local(url)]
    if local and not settings.ALLOW_LOCAL_PLATFORMS:
        hint = "Use the platform's https address, or set ALLOW_LOCAL_PLATFORMS=1 for a sandbox."
        return [
            Error(f"{', '.join(local)} is plain http or a loopback address.", hint=hint, id="connector.E002")
        ]
    if settings.ALLOW_LOCAL_PLATFORMS and not is_local(settings.APP_URL) and is_public(settings.APP_URL):
        return [
            Error(
                f"ALLOW_LOCAL_PLATFORMS is set while APP_URL ({settings.APP_URL}) is a public host.",
                hint="Unset ALLOW_LOCAL_PLATFORMS.",
                id="connector.E003",
            )
        ]
    return []


@register(OURS, deploy=True)
def app_url(**_: Any) -> list[CheckMessage]:
    if not settings.APP_URL.startswith("https://"):
        return [Error("APP_URL must be the app's public https origin.", id="connector.E004")]
    return []


def platform_urls() -> dict[str, str]:
    shopify = ("SHOPIFY_SHOP_URL", "SHOPIFY_ADMIN_URL", "SHOPIFY_CDN_URL")
    urls = {name: getattr(settings, name) for name in shopify}
    for app, conf in settings.TIKTOK_APPS.items():
        urls |= {
            f"TIKTOK_{name.upper()}{suffix(app)}": conf[name]
            for name in ("api_url", "auth_url", "consent_url")
        }
    return urls


def suffix(app: str) -> str:
    """Of the names of a registration's variables."""
    return "" if app == "US" else f"_{app}"


def is_local(url: str) -> bool:
    parts = urlsplit(url.replace("{shop}", "shop"))
    return parts.scheme != "https" or (parts.hostname or "") in LOCAL_HOSTS


def is_public(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return "." in host and host not in LOCAL_HOSTS and not host.endswith((".test", ".localhost", ".example"))
