"""A read-only window on our rows for the people who run the app: there only with ADMIN_ENABLED, over https only.

Its cookies are of its own path: no other address sees a session. Tokens, ciphers and tickets are left out.
"""

import re
from hashlib import blake2s
from typing import Any

import redis
from django.apps import apps
from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.http.response import HttpResponseBase

from connector.wake import queue_at

OURS = ("connector", "shopify_app", "tiktok")
SECRET = re.compile(r"token|sealed|previous_refresh|cipher|nonce|ticket|_page$")
IN_LISTS = (
    *(
        "id",
        "domain",
        "shop",
        "connection",
        "order",
        "tiktok_id",
        "name",
        "state",
        "reason",
        "topic",
        "outcome",
    ),
    *(
        "what",
        "call",
        "number",
        "company",
        "sku_id",
        "day",
        "active",
        "paused_reason",
        "due_at",
        "last_error",
        "at",
    ),
)
TRIES, TRIES_OF_ADDRESS = 5, 20  # to sign in; behind a proxy all come from one address
TRIES_SECONDS = 15 * 60
TOO_MANY, UNCOUNTED = "too_many", "uncounted"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Window(ModelAdmin):  # type: ignore[type-arg]
    """Everything of a row but its secrets. Nothing can be added, changed or deleted."""

    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [field.name for field in self.opts.concrete_fields if not SECRET.search(field.name)]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        names = self.get_fields(request)
        return [name for name in IN_LISTS if name in names] or names

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return site.has_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return site.has_permission(request)


class SignIn(AdminAuthenticationForm):
    """A try counts before its password is looked at, so that many at once are not more than one after the other."""

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username", "")
        address = self.request.META["REMOTE_ADDR"] if self.request else ""
        try:
            if tried("name", name.casefold()) > TRIES or tried("address", address) > TRIES_OF_ADDRESS:
                words = "Too many tries. Try again in %(n)s minutes."
                raise ValidationError(words, code=TOO_MANY, params={"n": TRIES_SECONDS // 60})
        except redis.RedisError:
            words = "Nobody can sign in just now: Valkey does not answer, and it counts the tries."
            raise ValidationError(words, code=UNCOUNTED) from None
        return super().clean()


def tried(what: str, text: str) -> int:
    """How many tries there were since the first one of the last minutes, this one included."""
    key = f"connector:sign-in:{what}:{blake2s(text.encode(), digest_size=16).hexdigest()}"
    with queue_at(settings.REDIS_URL).connection.pipeline() as pipe:
        pipe.set(key, 0, nx=True, ex=TRIES_SECONDS)
        pipe.incr(key)
        return int(pipe.execute()[-1])


class Site(AdminSite):
    site_header = site_title = "TikTok Shop connector"
    site_url = None
    login_form = SignIn

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().login(request, extra_context)
        form = (getattr(response, "context_data", None) or {}).get("form")
        for code, status in ((TOO_MANY, 429), (UNCOUNTED, 503)):
            if form and form.has_error(NON_FIELD_ERRORS, code):
                response.status_code = status
        return response


site = Site(name="admin")
for model in (model for app in OURS for model in apps.get_app_config(app).get_models()):
    site.register(model, Window)


# ---- the middleware that such a site needs, and no other address has ----


class OnlyHere:
    """Passes every other address by."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/admin/"):
            return self.get_response(request)  # type: ignore[attr-defined,no-any-return]
        return self.inside(request)

    def inside(self, request: HttpRequest) -> HttpResponseBase:
        return super().__call__(request)  # type: ignore[misc,no-any-return]


class Sessions(OnlyHere, SessionMiddleware):
    def inside(self, request: HttpRequest) -> HttpResponseBase:
        if not request.is_secure():
            return HttpResponseNotFound()
        response = super().inside(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class People(OnlyHere, AuthenticationMiddleware):
    pass


class Messages(OnlyHere, MessageMiddleware):
    pass
