"""The frame around every embedded page: who is looking, what the browser may do, and what failure looks like there.

There are no cookies and no sessions. A document load brings `?id_token=`, a fetch `Authorization: Bearer`
(Shopify contract 2.2); the first valid token of a shop installs the app.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from functools import wraps
from hashlib import blake2s
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import urlencode, urlsplit

from csp.constants import NONCE, NONE, SELF
from csp.utils import build_policy
from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe
from django_htmx.http import push_url, reselect, reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails
from structlog.contextvars import bound_contextvars

import shopify_app.errors
import tiktok.errors
from connector import consent
from connector.transport import session as transport
from shopify_app import auth
from shopify_app.models import Shop

log = logging.getLogger(__name__)

RETRY_WITH_FRESH_TOKEN = "X-Shopify-Retry-Invalid-Session-Request"  # noqa: S105  (a header's name)
RELOAD = "shopify-reload"
UNAVAILABLE = (shopify_app.errors.Unavailable, tiktok.errors.Unavailable)
UNREADABLE = (BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError)
REJECTED = (shopify_app.errors.Rejected, tiktok.errors.Rejected)


class EmbeddedRequest(HttpRequest):
    """A request whose session token was verified: rows are found through `shop`, never by a bare key."""

    shop: Shop
    user_id: str
    htmx: HtmxDetails
    nonce: str
    reference: str  # a mark of this visit in the log, for a person to quote


P = ParamSpec("P")
View = Callable[Concatenate[EmbeddedRequest, P], HttpResponseBase]


def embedded(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Let a view see only requests with a valid session token, and dress what it answers for the frame."""

    @wraps(view)
    def framed(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        visit = prepared(request)
        token = token_of(visit)
        try:
            visitor = auth.verify_session_token(token)
        except auth.InvalidToken:
            return dressed(ask_for_token(visit), visit, hinted_shop(visit))
        with bound_contextvars(reference=visit.reference):  # what the platforms answer is logged with it
            response = answered(visit, visitor, token, lambda: view(visit, *args, **kwargs))
        return dressed(response, visit, visitor.shop)

    return framed


def prepared(request: HttpRequest) -> EmbeddedRequest:
    visit = cast(EmbeddedRequest, request)
    visit.htmx = HtmxDetails(request)
    visit.nonce = secrets.token_urlsafe(16)
    visit.reference = secrets.token_hex(4)
    return visit


def token_of(request: HttpRequest) -> str:
    """A document load carries its token in the query; only a header can vouch for anything else."""
    if is_document_load(request):
        return request.GET.get("id_token", "")
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def is_document_load(request: HttpRequest) -> bool:
    fetched = "Authorization" in request.headers or "HX-Request" in request.headers
    return request.method in ("GET", "HEAD") and not fetched


def answered(
    request: EmbeddedRequest, visitor: auth.Session, token: str, view: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    try:
        check_readable(request)
        request.shop, request.user_id = admit(visitor, token), visitor.user
        with timezone.override(request.shop.zone):
            return view()
    except auth.InvalidToken:  # Shopify itself would not take it
        return ask_for_token(request)
    except Http404:
        return trouble(request, 404)
    except RequestDataTooBig:
        return trouble(request, 413)
    except UNREADABLE:  # no page of ours sends such a thing
        return trouble(request, 400)
    except UNAVAILABLE as error:
        return trouble(request, 503, error.public)
    except REJECTED as error:
        return trouble(request, 502, error.public)
    except Exception:
        log.exception("embedded page failed", extra={"path": request.path, "reference": request.reference})
        return trouble(request, 500)


def check_readable(request: HttpRequest) -> None:
    """Reads the whole form, as every view would; PostgreSQL takes no NUL."""
    for given in (request.GET, request.POST):
        if any("\x00" in text for values in given.lists() for text in (values[0], *values[1])):
            raise BadRequest("NUL in a query or a form")


def admit(visitor: auth.Session, token: str) -> Shop:
    """The visitor's shop. Its first valid token installs it; a new grant lifts the pause that the old one caused."""
    shop = Shop.install(visitor.shop, token, transport())
    consent.reinstalled(shop)
    return shop


# ---- without a token -------------------------------------------------------------------------------------------------


def ask_for_token(request: HttpRequest) -> HttpResponse:
    """App Bridge gets the fresh token: for a document on the patch page, for a fetch by repeating it once."""
    if not is_document_load(request):
        return HttpResponse(status=401, headers={RETRY_WITH_FRESH_TOKEN: "1", "HX-Reswap": "none"})
    query = request.GET.copy()
    query.pop("id_token", None)
    original = f"{request.path}?{query.urlencode()}" if query else request.path
    query[RELOAD] = original
    return HttpResponseRedirect(f"{reverse('session-token')}?{query.urlencode()}")


@require_safe
def session_token_page(request: HttpRequest) -> HttpResponseBase:
    """Where App Bridge fetches a session token and goes on to `shopify-reload`, a path of ours."""
    visit = prepared(request)
    targets = request.GET.getlist(RELOAD)
    # of several App Bridge takes the first, Django the last
    if len(targets) > 1 or not all(map(is_ours, targets)):
        return dressed(trouble(visit, 400), visit, hinted_shop(visit))
    return dressed(render_page(visit, "connector/session_token.html"), visit, hinted_shop(visit))


def is_ours(target: str) -> bool:
    return target.startswith("/") and url_has_allowed_host_and_scheme(target, allowed_hosts=None)


def hinted_shop(request: HttpRequest) -> str:
    """The shop that the query names: no proof of anything, but enough to say whose admin may frame the page."""
    return auth.shop_of(request.GET.get("shop", "")) or ""


# ---- what goes out ---------------------------------------------------------------------------------------------------


def render_page(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """A template with what every page needs: App Bridge's key, Shopify's scripts, the way into the admin."""
    shop = getattr(request, "shop", None)
    frame = {
        "api_key": settings.SHOPIFY_API_KEY,
        "app_bridge": f"{settings.SHOPIFY_CDN_URL}/app-bridge.js",
        "polaris": f"{settings.SHOPIFY_CDN_URL}/polaris.js",
        "admin_url": admin_url(shop.domain) if shop else settings.SHOPIFY_ADMIN_URL,
        "shop": shop,
        "nonce": getattr(request, "nonce", ""),
    }
    return render(request, template, {**frame, **(context or {})}, status=status)


def trouble(request: EmbeddedRequest, status: int, words: str = "") -> HttpResponse:
    """What happened and what to do, as a page; where htmx asked, above the page that is there."""
    told = {"status": status, "reference": request.reference}
    log.info("embedded page refused", extra=told | {"path": request.path})
    context = told | {"words": words, "again": again(request)}
    if not request.htmx:
        return render_page(request, "connector/trouble.html", context, status)
    response = render_page(request, "connector/_trouble.html", context, status)
    return push_url(reselect(reswap(retarget(response, "#trouble"), "innerHTML"), "s-banner"), False)


def again(request: EmbeddedRequest) -> str:
    """The address of the page to try again; nothing for what would act again, and for what is not ours."""
    if request.method not in ("GET", "HEAD"):
        return ""
    part = request.htmx and not request.htmx.boosted
    around = urlsplit(request.htmx.current_url or "")._replace(scheme="", netloc="").geturl() if part else ""
    address = tokenless(around if part else request.get_full_path())
    return address if is_ours(address) else ""


def tokenless(address: str) -> str:
    """A path and query without the session token. Not parsed: it may be what could not be."""
    path, _mark, query = address.partition("?")
    kept = "&".join(part for part in query.split("&") if not part.startswith("id_token="))
    return f"{path}?{kept}" if kept else path


def mark(text: str) -> str:
    """A short mark of how something looks: a browser that has seen it need not get it again."""
    return blake2s(text.encode(), digest_size=6).hexdigest()


def toast(words: str | Promise) -> HttpResponse:
    """No new content, and a few words over the page that is there (App Bridge's toast)."""
    return trigger_client_event(HttpResponse(status=204), "toast", {"words": str(words)})


def dressed(response: HttpResponseBase, request: EmbeddedRequest, shop_domain: str) -> HttpResponseBase:
    """The headers of a page that lives in one shop's admin (Shopify contract 2.8)."""
    response["Content-Security-Policy"] = content_policy(shop_domain, request.nonce)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "origin"  # the address of a document load holds its token
    response["X-Content-Type-Options"] = "nosniff"
    if is_document_load(request) and response.status_code != 302:
        scripts = (f"{settings.SHOPIFY_CDN_URL}/{name}.js" for name in ("app-bridge", "polaris"))
        response["Link"] = ", ".join(f"<{url}>; rel=preload; as=script" for url in scripts)
    return response


def content_policy(shop_domain: str, nonce: str) -> str:
    """Only this shop's admin may frame us; only Shopify's scripts and ours run, and none that is written inline."""
    ancestors = [f"https://{shop_domain}"] if shop_domain else []
    return build_policy(
        config={
            "frame-ancestors": [*ancestors, origin(settings.SHOPIFY_ADMIN_URL)],
            "script-src": [NONCE, origin(settings.SHOPIFY_CDN_URL)],
            "object-src": [NONE],
            "base-uri": [NONE],
            "form-action": [SELF],
        },
        nonce=nonce,
    )


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def admin_url(shop_domain: str, path: str = "", **query: str) -> str:
    """A page of a shop's Shopify admin; a path that begins with /apps/ is one of ours."""
    handle = shop_domain.removesuffix(".myshopify.com")
    url = f"{settings.SHOPIFY_ADMIN_URL}/store/{handle}{path}"
    return f"{url}?{urlencode(query)}" if query else url


def app_in_admin(shop_domain: str, path: str = "", **query: str) -> str:
    """A page of this app inside a shop's admin."""
    return admin_url(shop_domain, f"/apps/{settings.SHOPIFY_APP_HANDLE}{path}", **query)
