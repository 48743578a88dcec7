"""The least that Django can do with a webhook: an HMAC and one INSERT. On the same server, ours is held against it."""

import base64
import hashlib
import hmac
import os

import django
import environ
from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {**environ.Env().db("DATABASE_URL"), "CONN_MAX_AGE": None}},
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (needs the settings)
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from bench.bare_table import INSERT  # noqa: E402

SECRET = os.environ["SHOPIFY_API_SECRET"].encode()


def receive(request: HttpRequest) -> HttpResponse:
    body = request.body
    expected = base64.b64encode(hmac.digest(SECRET, body, hashlib.sha256)).decode()
    if not hmac.compare_digest(expected, request.headers["X-Shopify-Hmac-Sha256"]):
        return HttpResponse(status=401)
    with connection.cursor() as cursor:
        key, topic = request.headers["X-Shopify-Webhook-Id"], request.headers["X-Shopify-Topic"]
        cursor.execute(INSERT, [key, topic, body.decode()])
    return HttpResponse()


urlpatterns = [path("webhooks", receive), path("healthz", lambda request: HttpResponse())]
application = get_wsgi_application()
