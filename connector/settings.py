"""The one place that reads the environment. A section per neighbour, each with the page where its keys are found.

Secrets have no default. A wrong or missing value is one line that names it (here, or a check in checks.py).
"""

from datetime import timedelta
from pathlib import Path

import environ
from cryptography.fernet import Fernet, MultiFernet
from django.core.exceptions import ImproperlyConfigured

from connector import error_reports
from connector.logs import build_logging

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env", overwrite=False)


def seconds(name: str, default: float) -> timedelta:
    return timedelta(seconds=env.float(name, default=default))


def token_cipher(keys: list[str]) -> MultiFernet:
    """The first key encrypts, every key decrypts: that is how keys rotate."""
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            f"Set TOKEN_ENCRYPTION_KEYS to comma-separated Fernet keys: {error}"
        ) from None


# Django
SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
APP_URL = env.str("APP_URL").rstrip("/")
DATABASES = {
    "default": {
        **env.db("DATABASE_URL"),
        "ENGINE": "connector.postgres",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}
REDIS_URL = env.str("REDIS_URL")
TOKEN_CIPHER = token_cipher(env.list("TOKEN_ENCRYPTION_KEYS"))
FIRST_TOKEN_CIPHER = token_cipher(env.list("TOKEN_ENCRYPTION_KEYS")[:1])  # what a rotation writes with
STATUS_TOKEN = env.str("STATUS_TOKEN", default="")  # opens /statusz and /metrics; empty keeps them closed
ADMIN_ENABLED = env.bool("ADMIN_ENABLED", default=False)  # /admin/, read only
ALLOW_LOCAL_PLATFORMS = env.bool("ALLOW_LOCAL_PLATFORMS", default=False)
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="")  # shown on the help page

# Shopify, https://dev.shopify.com/dashboard > your app > Settings
SHOPIFY_API_KEY = env.str("SHOPIFY_API_KEY")
SHOPIFY_API_SECRET = env.str("SHOPIFY_API_SECRET")
SHOPIFY_API_SECRET_OLD = env.str("SHOPIFY_API_SECRET_OLD", default="")
SHOPIFY_APP_HANDLE = env.str("SHOPIFY_APP_HANDLE", default="tiktok-shop-connector")
SHOPIFY_API_VERSION = env.str("SHOPIFY_API_VERSION", default="2026-10")
SHOPIFY_SHOP_URL = env.str("SHOPIFY_SHOP_URL", default="https://{shop}").rstrip("/")
SHOPIFY_ADMIN_URL = env.str("SHOPIFY_ADMIN_URL", default="https://admin.shopify.com").rstrip("/")
SHOPIFY_CDN_URL = env.str("SHOPIFY_CDN_URL", default="https://cdn.shopify.com/shopifycloud").rstrip("/")
SHOPIFY_SCOPES = ("read_products", "write_draft_orders", "write_orders", "read_fulfillments")

# TikTok Shop, https://partner.us.tiktokshop.com (US) and https://partner.tiktokshop.com (rest of the world):
# two Partner Centers, two registrations (contracts/tiktok.md 1.1).
TIKTOK_APPS = {
    "US": {
        "app_key": env.str("TIKTOK_APP_KEY"),
        "app_secret": env.str("TIKTOK_APP_SECRET"),
        "service_id": env.str("TIKTOK_SERVICE_ID", default=""),
        "api_url": env.str("TIKTOK_API_URL", default="https://open-api.tiktokglobalshop.com").rstrip("/"),
        "auth_url": env.str("TIKTOK_AUTH_URL", default="https://auth.tiktok-shops.com").rstrip("/"),
        "consent_url": env.str(
            "TIKTOK_CONSENT_URL", default="https://services.us.tiktokshop.com/open/authorize"
        ),
    }
}
if env.str("TIKTOK_APP_KEY_ROW", default=""):
    TIKTOK_APPS["ROW"] = {
        "app_key": env.str("TIKTOK_APP_KEY_ROW"),
        "app_secret": env.str("TIKTOK_APP_SECRET_ROW"),
        "service_id": env.str("TIKTOK_SERVICE_ID_ROW", default=""),
        "api_url": env.str("TIKTOK_API_URL_ROW", default="https://open-api.tiktokglobalshop.com").rstrip("/"),
        "auth_url": env.str("TIKTOK_AUTH_URL_ROW", default="https://auth.tiktok-shops.com").rstrip("/"),
        "consent_url": env.str(
            "TIKTOK_CONSENT_URL_ROW", default="https://services.tiktokshop.com/open/authorize"
        ),
    }
TIKTOK_SHIP_VERSION = env.str("TIKTOK_SHIP_VERSION", default="202309")  # contracts/tiktok.md 12.1

# Waits. The clock says when to look; only the platforms say what is true.
HOLD_EXPECTED = seconds("HOLD_EXPECTED_SECONDS", 3600)  # TikTok's hold after payment
HOLD_LOOK_AGAIN = [
    timedelta(seconds=float(s)) for s in env.list("HOLD_LOOK_AGAIN_SECONDS", default=[60, 120, 300, 900])
]
READY_WAITS = [
    timedelta(seconds=float(s)) for s in env.list("READY_WAITS", default=[0.5, 1, 2, 4, 8, 15, 30])
]
RECOVERY_WAITS = [timedelta(seconds=float(s)) for s in env.list("RECOVERY_WAITS", default=[5, 15, 60])]
SKU_LOOK_AGAIN = seconds("SKU_LOOK_AGAIN_SECONDS", 6 * 3600)  # where the word of a new product was lost
RECHECK_AFTER_FINALIZE = seconds("RECHECK_AFTER_FINALIZE_SECONDS", 30)  # a cancel that nobody told us
UNKNOWN_FULFILLMENT_WAITS = [
    timedelta(seconds=float(s)) for s in env.list("UNKNOWN_FULFILLMENT_WAITS", default=[10, 60, 600])
]
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=1)
PULL_EVERY = seconds("PULL_SECONDS", 300)
PULL_OVERLAP = seconds("PULL_OVERLAP_SECONDS", 600)  # contracts/tiktok.md 4.1: data moves during a search
WORK_LEASE = seconds("WORK_LEASE_SECONDS", 30)  # at least three times the deadline of a call (checks.py)
CALL_DEADLINE_SECONDS = env.float("CALL_DEADLINE_SECONDS", default=10)
CONNECT_TIMEOUT_SECONDS = env.float("CONNECT_TIMEOUT_SECONDS", default=3)
BACKOFF_BASE = seconds("BACKOFF_BASE_SECONDS", 2)
BACKOFF_MAX = seconds("BACKOFF_MAX_SECONDS", 900)
PARK_AFTER = seconds("PARK_AFTER_SECONDS", 24 * 3600)
TRACKING_EDIT_WINDOW = timedelta(hours=env.float("TRACKING_EDIT_WINDOW_HOURS", default=72))
KEEP_EVENTS = timedelta(days=env.float("KEEP_EVENTS_DAYS", default=30))
KEEP_ORDERS = timedelta(days=env.float("KEEP_ORDERS_DAYS", default=548))  # 18 months
DRAIN_TURN_SECONDS = env.float("DRAIN_TURN_SECONDS", default=5)
DRAIN_THREADS = env.int("DRAIN_THREADS", default=16)
DRAIN_TURNS = env.int("DRAIN_TURNS", default=4)
STOP_SECONDS = env.float("STOP_SECONDS", default=15)
# what a limiter without Valkey divides the budget by
WORKER_PROCESSES = env.int("WORKER_PROCESSES", default=1)

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
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_FROM = env.str("EMAIL_FROM") if EMAIL_URL else ""
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10

LOGGING = build_logging(env.str("LOG_LEVEL", default="INFO"), env.str("LOG_FORMAT", default="json"))
LOGGING_CONFIG = "logging.config.dictConfig"

if SENTRY_DSN:
    error_reports.start(SENTRY_DSN)
