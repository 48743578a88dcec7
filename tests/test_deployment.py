"""The settings of a real deployment, in processes of their own: Django's own checks, and the window for operators."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

PROJECT = Path(__file__).resolve().parent.parent
HOST = "connector.merchants.example.com"
PRODUCTION = {
    "SECRET_KEY": "sEcr3t-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
    "APP_URL": f"https://{HOST}",
    "ALLOWED_HOSTS": HOST,
    "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"n" * 32).decode(),
    "SHOPIFY_API_KEY": "key",
    "SHOPIFY_API_SECRET": "shopify-secret-0123456789-0123456789",
    "TIKTOK_APP_KEY": "key",
    "TIKTOK_APP_SECRET": "secret",
    "TIKTOK_SERVICE_ID": "7000000000000000001",
    "STATUS_TOKEN": "status",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "LOG_LEVEL": "CRITICAL",
    "DJANGO_SETTINGS_MODULE": "connector.settings",
}


def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env=env | PRODUCTION | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("admin", ["0", "1"])
def test_djangos_checks_for_a_deployment_find_nothing(admin):
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", ADMIN_ENABLED=admin)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "no issues" in done.stdout


def test_an_app_url_without_tls_or_debug_is_refused():
    assert "connector.E004" in run("manage.py", "check", "--deploy", APP_URL=f"http://{HOST}").stderr
    assert "security.W018" in run("manage.py", "check", "--deploy", DEBUG="1").stderr


MISSING, UNREADABLE, TOO_EARLY, UNKNOWN_VERSION, LEASE, LOCAL, OPEN = (
    f"connector.E00{n}" for n in (5, 6, 7, 8, 1, 2, 3)
)
WARNED = "connector.W001"
COMPLAINTS = [
    *(
        (name, "", MISSING)
        for name in ("SECRET_KEY", "APP_URL", "DATABASE_URL", "REDIS_URL", "TOKEN_ENCRYPTION_KEYS")
    ),
    *((name, "", MISSING) for name in ("SHOPIFY_API_KEY", "SHOPIFY_API_SECRET")),
    *((name, "", MISSING) for name in ("TIKTOK_APP_KEY", "TIKTOK_APP_SECRET")),
    ("TIKTOK_APP_SECRET_ROW", "", MISSING),
    *((name, "", WARNED) for name in ("TIKTOK_SERVICE_ID", "TIKTOK_SERVICE_ID_ROW")),
    ("EMAIL_FROM", "", MISSING),
    ("EMAIL_URL", "mail.example.com", UNREADABLE),
    ("SENTRY_DSN", "sentry.example.com", UNREADABLE),
    ("LOG_LEVEL", "LOUD", UNREADABLE),
    ("LOG_FORMAT", "xml", UNREADABLE),
    ("DEBUG", "perhaps", UNREADABLE),
    ("ADMIN_ENABLED", "offf", UNREADABLE),
    ("PULL_SECONDS", "5m", UNREADABLE),
    ("PULL_OVERLAP_SECONDS", "nan", UNREADABLE),
    ("HOLD_EXPECTED_SECONDS", "inf", UNREADABLE),
    ("SWEEP_SECONDS", "0", UNREADABLE),
    ("STOP_SECONDS", "-1", UNREADABLE),
    ("KEEP_EVENTS_DAYS", "999999999", UNREADABLE),
    ("TRACKING_EDIT_WINDOW_HOURS", "", UNREADABLE),
    ("READY_WAITS", "", UNREADABLE),
    ("HOLD_LOOK_AGAIN_SECONDS", "", UNREADABLE),
    ("UNKNOWN_FULFILLMENT_WAITS", "10,x", UNREADABLE),
    ("WORKER_PROCESSES", "0", UNREADABLE),
    ("DRAIN_THREADS", "16.5", UNREADABLE),
    ("DRAIN_TURNS", "four", UNREADABLE),
    ("RECOVERY_WAITS", "5,15,59", TOO_EARLY),
    ("TIKTOK_SHIP_VERSION", "202700", UNKNOWN_VERSION),
    ("WORK_LEASE_SECONDS", "29", LEASE),
    ("SHOPIFY_SHOP_URL", "http://{shop}", LOCAL),
    ("SHOPIFY_ADMIN_URL", "https://127.0.0.1", LOCAL),
    ("SHOPIFY_CDN_URL", "https://localhost:9000/cdn", LOCAL),
    ("TIKTOK_API_URL", "", LOCAL),
]
ALL_WRONG = {name: value for name, value, _ in COMPLAINTS} | {"TIKTOK_APP_KEY_ROW": "key"}
ONE_LINE = re.compile(r"^\?: \((connector\.[EW]\d+)\) (.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """Id -> sentences, where everything is wrong at once."""
    done = run("manage.py", "check", **ALL_WRONG)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    found: dict[str, list[str]] = {}
    for code, sentence in ONE_LINE.findall(done.stderr):
        found.setdefault(code, []).append(sentence)
    return found


@pytest.mark.parametrize(("name", "value", "code"), COMPLAINTS, ids=[name for name, _, _ in COMPLAINTS])
def test_a_setting_that_is_missing_or_wrong_is_named_in_one_line_with_an_id(told, name, value, code):
    assert any(re.search(rf"\b{name}\b", sentence) for sentence in told[code])


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("TOKEN_ENCRYPTION_KEYS", "s3cret-and-no-key", UNREADABLE),
        ("DATABASE_URL", "mysql://user:s3cret@host/name", UNREADABLE),
        ("REDIS_URL", "http://:s3cret@host", UNREADABLE),
        ("RECOVERY_WAITS", "", UNREADABLE),
        ("ALLOW_LOCAL_PLATFORMS", "1", OPEN),
    ],
)
def test_what_cannot_be_wrong_beside_the_others_is_named_too_and_no_secret_is_shown(name, value, code):
    said = run("manage.py", "check", **{name: value}).stderr
    assert [found for found in ONE_LINE.findall(said) if found[0] == code and name in found[1]], said
    assert "s3cret" not in said and "Traceback" not in said


@pytest.mark.parametrize(
    "words", [("manage.py", "clock"), ("-c", "import connector.wsgi")], ids=["clock", "web"]
)
def test_no_process_starts_with_a_setting_that_is_missing(words):
    done = run(*words, SHOPIFY_API_SECRET="")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "(connector.E005) SHOPIFY_API_SECRET is not set." in done.stderr


@pytest.mark.parametrize(("given", "kept"), [("1", "90 days"), ("345", "345 days")])
def test_orders_are_kept_ninety_days_whatever_is_set(given, kept):
    told = run("-c", "from connector import settings; print(settings.KEEP_ORDERS)", KEEP_ORDERS_DAYS=given)
    assert told.stdout == f"{kept}, 0:00:00\n", told.stderr


# ---- /admin/ ----

LOOK_AROUND = """
import django
django.setup()
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client
from connector.admin import OURS, SECRET, site
from connector.models import Connection, Consent, Order
from shopify_app.models import Shop
from tiktok.models import Seller, Shop as TikTokShop
from django.utils import timezone

def visitor(user=None, secure=True):
    tls = {"HTTP_X_FORWARDED_PROTO": "https"} if secure else {}
    client = Client(HTTP_HOST="connector.merchants.example.com", **tls)
    if user:
        client.force_login(user)
    return client

now, sealed = timezone.now(), "gAAAA-s3aled"
shop = Shop.objects.create(domain="a.myshopify.com", access_token=sealed, refresh_token=sealed, previous_refresh=sealed)
seller = Seller.objects.create(app="US", open_id="o", access_token_sealed=sealed, refresh_token_sealed=sealed,
    previous_refresh_token_sealed=sealed, access_expires_at=now, refresh_expires_at=now, granted_at=now)
tiktok_shop = TikTokShop.objects.create(seller=seller, shop_id="7", cipher=sealed)
connection = Connection.objects.create(shop=shop, tiktok_shop=tiktok_shop)
order = Order.objects.create(shop=shop, connection=connection, tiktok_id="577000000000000123")
Consent.objects.create(nonce=sealed, ticket="s3aled", code_sealed=sealed, shop=shop)
staff = User.objects.create_user("staff", password="p", is_staff=True)
merchant = User.objects.create_user("merchant", password="p")

# nobody, and somebody who is no staff: the login; without https: nothing at all
models = [model for app in OURS for model in apps.get_app_config(app).get_models()]
lists = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in models]
for path in ["/admin/", *lists]:
    for who in (None, merchant):
        answer = visitor(who).get(path)
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/"), path
    assert visitor(staff, secure=False).get(path).status_code == 404
assert visitor(secure=False).post("/admin/login/", {"username": "staff", "password": "p"}).status_code == 404
assert {model._meta.app_label for model in site._registry} == set(OURS)  # no users, no sessions

# staff: every list and every row, and no secret in any
seen = 0
client = visitor(staff)
for model in site._registry:
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    answer, kept = client.get(base), model.objects.count()
    assert answer.status_code == 200, base
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    for row in model.objects.all():
        page = client.get(f"{base}{row.pk}/change/")
        assert page.status_code == 200, base
        assert "s3aled" not in page.content.decode() + answer.content.decode(), base
        seen += 1
        for deed in ("change", "delete"):
            assert client.post(f"{base}{row.pk}/{deed}/", {"post": "yes"}).status_code == 403, base
    assert client.post(f"{base}add/", {}).status_code == 403, base
    deletion = {"action": "delete_selected", "_selected_action": "1", "post": "yes"}
    assert client.post(base, deletion).status_code < 500 and model.objects.count() == kept, base
assert seen == 6 and Order.objects.count() == 1

# its cookies are of its own path, and no other address sees or sets one
form = visitor()
cookies = form.post("/admin/login/", {"username": "staff", "password": "p"}).cookies
assert cookies and all(c["path"] == "/admin/" and c["secure"] and c["httponly"] for c in cookies.values()), cookies
for path in ("/", "/orders", "/healthz", "/tiktok/callback", "/auth/session-token"):
    assert not form.get(path).cookies, path
print("all seen")
"""


GUESS = """
import django
django.setup()
import sys
from django.contrib.auth.models import User
from django.test import Client

User.objects.create_user("guessed", password="right", is_staff=True)
User.objects.create_user("other", password="right", is_staff=True)
door = Client(HTTP_HOST="connector.merchants.example.com", HTTP_X_FORWARDED_PROTO="https")

def sign_in(name, password):
    return door.post("/admin/login/", {"username": name, "password": password})

if sys.argv[1] == "uncounted":
    answer = sign_in("guessed", "right")
    assert answer.status_code == 503 and b"Valkey does not answer" in answer.content
else:
    for _ in range(5):
        answer = sign_in("guessed", "wrong")
        assert answer.status_code == 200 and b"Please enter the correct" in answer.content
    for name in ("guessed", "GUESSED"):  # the right one does not help any more, however the name is written
        answer = sign_in(name, "right")
        assert answer.status_code == 429 and b"Too many tries. Try again in 15 minutes." in answer.content
    assert sign_in("other", "right").status_code == 302
    tries = [sign_in(f"name{i}", "wrong").status_code for i in range(20)]  # one address, many names
    assert tries[:5] == [200] * 5 and tries[-1] == 429, tries
User.objects.all().delete()
print("all tried")
"""


@pytest.fixture(scope="module")
def with_admin():
    """A database of its own on the tests' PostgreSQL: with the admin there are more tables."""
    name, known = f"with_admin_{os.getpid()}", settings.DATABASES["default"]
    facts = {"host": known["HOST"], "user": known["USER"], "dbname": "postgres"}
    with psycopg.connect(**facts, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        on = {
            "ADMIN_ENABLED": "1",
            "DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}",
            "REDIS_URL": os.environ["REDIS_URL"],
        }
        made = run("manage.py", "migrate", "--no-input", **on)
        assert made.returncode == 0, made.stderr
        yield on
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_admin_is_off_unless_enabled_and_then_read_only_for_staff_without_secrets(with_admin):
    off = run(
        "-c", "import django; django.setup()\nfrom connector.urls import urlpatterns\nprint(urlpatterns)"
    )
    assert off.returncode == 0 and "admin" not in off.stdout
    done = run("-c", LOOK_AROUND, **with_admin)
    assert done.stdout == "all seen\n", done.stderr


def test_a_password_of_the_admin_can_be_tried_a_few_times_only(with_admin):
    done = run("-c", GUESS, "counted", **with_admin)
    assert done.stdout == "all tried\n", done.stderr


def test_nobody_signs_in_while_the_tries_cannot_be_counted(with_admin):
    done = run("-c", GUESS, "uncounted", **with_admin | {"REDIS_URL": PRODUCTION["REDIS_URL"]})
    assert done.stdout == "all tried\n", done.stderr
