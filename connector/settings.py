"""The one place that reads the environment. A section per neighbour, each with the page where its keys are found.

Secrets have no default. What is missing or cannot be read is noted by `env`, and said by the checks in checks.py.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
import redis
from cryptography.fernet import Fernet, MultiFernet

from connector import error_reports
from connector.logs import FORMATS, LEVELS, build_logging
from connector.variables import Variables

BASE_DIR = Path(__file__).resolve().parent.parent

environ.Env.read_env(BASE_DIR / ".env", overwrite=False)
env = Variables(environ.Env.ENVIRON)


def postgres(url: str) -> dict[str, Any]:
    if not url.startswith("postgres"):
        raise ValueError("another database")
    facts: dict[str, Any] = environ.Env.db_url_config(url)
    return facts


def valkey(url: str) -> str:
    redis.ConnectionPool.from_url(url)
    return url


def ciphers(keys: str) -> tuple[MultiFernet, MultiFernet]:
    """The first key encrypts, every key decrypts: that is how keys rotate. Apart, the one a rotation writes with."""
    known = [Fernet(key.strip()) for key in keys.split(",") if key.strip()]
    return MultiFernet(known), MultiFernet(known[:1])


# Django
SECRET_KEY = env.text("SECRET_KEY")
DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.texts("ALLOWED_HOSTS", default=[])
APP_URL = env.text("APP_URL").rstrip("/")
DATABASES = {
    "default": {
        **env.parsed("DATABASE_URL", "postgresql://user:password@host/name", postgres, instead={}),
        "ENGINE": "connector.postgres",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}
REDIS_URL = env.parsed("REDIS_URL", "redis://host:6379/0", valkey)
TOKEN_CIPHER, FIRST_TOKEN_CIPHER = env.parsed(
    "TOKEN_ENCRYPTION_KEYS", "Fernet keys with commas between", ciphers, instead=(None, None)
)
STATUS_TOKEN = env.text("STATUS_TOKEN", default="")  # opens /statusz and /metrics; empty keeps them closed
ADMIN_ENABLED = env.flag("ADMIN_ENABLED", default=False)  # /admin/, read only
ALLOW_LOCAL_PLATFORMS = env.flag("ALLOW_LOCAL_PLATFORMS", default=False)
SENTRY_DSN = env.text("SENTRY_DSN", default="")
SUPPORT_EMAIL = env.text("SUPPORT_EMAIL", default="")  # shown on the help page

# Shopify, https://dev.shopify.com/dashboard > your app > Settings
SHOPIFY_API_KEY = env.text("SHOPIFY_API_KEY")
SHOPIFY_API_SECRET = env.text("SHOPIFY_API_SECRET")
SHOPIFY_API_SECRET_OLD = env.text("SHOPIFY_API_SECRET_OLD", default="")
SHOPIFY_APP_HANDLE = env.text("SHOPIFY_APP_HANDLE", default="tiktok-shop-connector")
SHOPIFY_API_VERSION = env.text("SHOPIFY_API_VERSION", default="2026-10")
SHOPIFY_SHOP_URL = env.text("SHOPIFY_SHOP_URL", default="https://{shop}").rstrip("/")
SHOPIFY_ADMIN_URL = env.text("SHOPIFY_ADMIN_URL", default="https://admin.shopify.com").rstrip("/")
SHOPIFY_CDN_URL = env.text("SHOPIFY_CDN_URL", default="https://cdn.shopify.com/shopifycloud").rstrip("/")
SHOPIFY_SCOPES = ("read_products", "write_draft_orders", "write_orders", "read_fulfillments")

# TikTok Shop, https://partner.us.tiktokshop.com (US) and https://partner.tiktokshop.com (rest of the world):
# two Partner Centers, two registrations (contracts/tiktok.md 1.1).
TIKTOK_APPS = {
    "US": {
        "app_key": env.text("TIKTOK_APP_KEY"),
        "app_secret": env.text("TIKTOK_APP_SECRET"),
        "service_id": env.text("TIKTOK_SERVICE_ID", default=""),
        "api_url": env.text("TIKTOK_API_URL", default="https://open-api.tiktokglobalshop.com").rstrip("/"),
        "auth_url": env.text("TIKTOK_AUTH_URL", default="https://auth.tiktok-shops.com").rstrip("/"),
        "consent_url": env.text(
            "TIKTOK_CONSENT_URL", default="https://services.us.tiktokshop.com/open/authorize"
        ),
    }
}
if env.text("TIKTOK_APP_KEY_ROW", default=""):
    TIKTOK_APPS["ROW"] = {
        "app_key": env.text("TIKTOK_APP_KEY_ROW"),
        "app_secret": env.text("TIKTOK_APP_SECRET_ROW"),
        "service_id": env.text("TIKTOK_SERVICE_ID_ROW", default=""),
        "api_url": env.text("TIKTOK_API_URL_ROW", default="https://open-api.tiktokglobalshop.com").rstrip(
            "/"
        ),
        "auth_url": env.text("TIKTOK_AUTH_URL_ROW", default="https://auth.tiktok-shops.com").rstrip("/"),
        "consent_url": env.text(
            "TIKTOK_CONSENT_URL_ROW", default="https://services.tiktokshop.com/open/authorize"
        ),
    }
TIKTOK_SHIP_VERSION = env.text("TIKTOK_SHIP_VERSION", default="202309")  # contracts/tiktok.md 12.1

# Waits. The clock says when to look; only the platforms say what is true.
HOLD_EXPECTED = env.seconds("HOLD_EXPECTED_SECONDS", default=3600)  # TikTok's hold after payment
HOLD_LOOK_AGAIN = env.waits("HOLD_LOOK_AGAIN_SECONDS", default=[60, 120, 300, 900])
READY_WAITS = env.waits("READY_WAITS", default=[0.5, 1, 2, 4, 8, 15, 30])
RECOVERY_WAITS = env.waits("RECOVERY_WAITS", default=[5, 15, 60])
# where the word of a new product was lost
SKU_LOOK_AGAIN = env.seconds("SKU_LOOK_AGAIN_SECONDS", default=900)
# a cancel that nobody told us
RECHECK_AFTER_FINALIZE = env.seconds("RECHECK_AFTER_FINALIZE_SECONDS", default=30)
UNKNOWN_FULFILLMENT_WAITS = env.waits("UNKNOWN_FULFILLMENT_WAITS", default=[10, 60, 600])
SWEEP_SECONDS = env.number("SWEEP_SECONDS", default=1)
PULL_EVERY = timedelta(seconds=env.number("PULL_SECONDS", default=300))
# contracts/tiktok.md 4.1: data moves during a search
PULL_OVERLAP = env.seconds("PULL_OVERLAP_SECONDS", default=600)
# at least three times the deadline of a call (checks.py)
WORK_LEASE = env.seconds("WORK_LEASE_SECONDS", default=30)
CALL_DEADLINE_SECONDS = env.number("CALL_DEADLINE_SECONDS", default=10)
CONNECT_TIMEOUT_SECONDS = env.number("CONNECT_TIMEOUT_SECONDS", default=3)
BACKOFF_BASE = env.seconds("BACKOFF_BASE_SECONDS", default=2)
BACKOFF_MAX = env.seconds("BACKOFF_MAX_SECONDS", default=900)
PARK_AFTER = env.seconds("PARK_AFTER_SECONDS", default=24 * 3600)
TRACKING_EDIT_WINDOW = env.hours("TRACKING_EDIT_WINDOW_HOURS", default=72)
KEEP_EVENTS = env.days("KEEP_EVENTS_DAYS", default=30)
# 18 months; never less than TikTok's buyer protection of 90 days after delivery (PRODUCT SK61)
KEEP_ORDERS = max(env.days("KEEP_ORDERS_DAYS", default=548), timedelta(days=90))
DRAIN_TURN_SECONDS = env.number("DRAIN_TURN_SECONDS", default=5)
DRAIN_THREADS = env.count("DRAIN_THREADS", default=16)
DRAIN_TURNS = env.count("DRAIN_TURNS", default=4)
STOP_SECONDS = env.number("STOP_SECONDS", default=15)
# what a limiter without Valkey divides the budget by
WORKER_PROCESSES = env.count("WORKER_PROCESSES", default=1)

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_rq",
    "tiktok",
    "shopify_app",
    "connector",
]
# None: webhooks are taken before Django (connector/wsgi.py), embedded pages are wrapped by connector.embedded.
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "connector.urls"
WSGI_APPLICATION = "connector.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
# What Django would do by middleware for every address, the pages do themselves (connector/embedded.py): nosniff and
# a referrer policy, frame-ancestors of the one shop for x-frame-options, and no cookie that a forged form could use.
SILENCED_SYSTEM_CHECKS = ["security.W001", "security.W002", "security.W003"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"}}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

if ADMIN_ENABLED:
    INSTALLED_APPS += [
        "django.contrib.admin.apps.SimpleAdminConfig",
        "django.contrib.auth",
        "django.contrib.sessions",
        "django.contrib.messages",
    ]
    MIDDLEWARE += ["connector.admin.Sessions", "connector.admin.People", "connector.admin.Messages"]
    TEMPLATES[0] |= {
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  # TLS ends in front of us
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
    SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
    SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
    SESSION_COOKIE_AGE = 8 * 3600

RQ = {"JOB_CLASS": "connector.doorbells.Doorbell", "QUEUE_CLASS": "connector.doorbells.Doorbells"}
RQ_QUEUES = {"default": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 120, "DEFAULT_RESULT_TTL": 0}}

# Mail is for alerts to merchants who gave an address, and for nothing else.
EMAIL_URL = env.text("EMAIL_URL", default="")
EMAIL_FROM = env.text("EMAIL_FROM") if EMAIL_URL else ""
if EMAIL_URL:
    usual = "smtp+tls://user:password@host:587"
    vars().update(env.parsed("EMAIL_URL", usual, environ.Env.email_url_config, instead={}))
EMAIL_TIMEOUT = 10

LOGGING = build_logging(
    env.choice("LOG_LEVEL", LEVELS, default="INFO"), env.choice("LOG_FORMAT", FORMATS, default="json")
)
LOGGING_CONFIG = "logging.config.dictConfig"

if SENTRY_DSN:
    env.parsed("SENTRY_DSN", "a DSN as Sentry shows it", error_reports.start)

MISSING, UNREADABLE = env.missing, env.unreadable
