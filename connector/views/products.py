"""Products: which Shopify variant each TikTok SKU stands for."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import push_url, trigger_client_event

from connector import choices, sku_file, sku_list
from connector.chosen import active, chosen
from connector.embedded import EmbeddedRequest, embedded, render_page
from connector.matching import carrying, title_of
from connector.models import Connection, SkuLink
from connector.platforms import shopify_for
from connector.sku_list import Wish
from connector.wake import bell

FAULTS_SHOWN = 50


@require_safe
@embedded
def products(request: EmbeddedRequest) -> HttpResponse:
    if not active(request).exists():
        return redirect("connections")
    return page(request, chosen(request), Wish.from_query(request.GET))


def page(request: EmbeddedRequest, connection: Connection, wish: Wish, **more: Any) -> HttpResponse:
    context = {
        "connection": connection,
        "connections": active(request),
        "wish": wish,
        "page": sku_list.page_of(connection, wish),
        "tabs": sku_list.TABS.items(),
        "counts": sku_list.counts(connection),
    }
    return render_page(request, "connector/products.html", context | more)


def back(request: EmbeddedRequest, connection: Connection, wish: Wish, words: str) -> HttpResponse:
    """The list again, with its own address, and what was done in a few words."""
    shown = push_url(page(request, connection, wish), f"/products?connection={connection.pk}&{wish.query}")
    return trigger_client_event(shown, "toast", {"words": words})


def going_on(woken: int) -> str:
    """How many orders a link has set going."""
    if not woken:
        return ""
    return " " + ngettext("%(n)s waiting order goes on.", "%(n)s waiting orders go on.", woken) % {"n": woken}


@require_POST
@embedded
def read_again(request: EmbeddedRequest) -> HttpResponse:
    """Ask for TikTok's catalogue now: the connection's next pull reads it."""
    connection = chosen(request)
    connection.wake(listing_due_at=timezone.now())
    bell.ring(connection.shop_id)
    words = _("TikTok's products are being read. Look again in a moment.")
    return back(request, connection, Wish.from_query(request.POST), words)


# ---- one SKU ---------------------------------------------------------------------------------------


def sku_of(request: EmbeddedRequest, sku: int) -> SkuLink:
    return get_object_or_404(
        SkuLink.objects.select_related("connection__shop"), connection__in=active(request), pk=sku
    )


@require_http_methods(["GET", "HEAD", "POST"])
@embedded
def link(request: EmbeddedRequest, sku_key: int) -> HttpResponse:
    """GET searches Shopify for the variant that a TikTok SKU stands for, POST links the chosen one."""
    sku = sku_of(request, sku_key)
    if request.method != "POST":
        return search(request, sku)
    gid = request.POST.get("variant", "")
    known = shopify_for(request.shop).get_variants([gid]) if gid.startswith(sku_file.VARIANT) else []
    if not known:
        return search(request, sku, gone=True)
    title = title_of(known[0])
    woken = choices.link_sku(sku.connection, sku.sku_id, known[0].id, title, request.user_id)
    words = _("Linked to %(variant)s.") % {"variant": title} + going_on(woken)
    return back(request, sku.connection, Wish.from_query(request.POST), words)


def search(request: EmbeddedRequest, sku: SkuLink, *, gone: bool = False) -> HttpResponse:
    """Variants that carry the SKU come first, then what fits the words."""
    words = request.GET.get("words", sku.seller_sku).strip()[:100]
    shopify = shopify_for(request.shop)
    same = carrying(words, shopify.find_variants([words])) if words else []
    fitting = shopify.search_variants(words) if words else []
    known = {variant.id: variant for variant in (*same, *fitting)}
    wish = Wish.from_query(request.GET)
    context = {"sku": sku, "words": words, "variants": known.values(), "gone": gone, "wish": wish}
    return render_page(request, "connector/product_link.html", context)


@require_POST
@embedded
def unlink(request: EmbeddedRequest, sku_key: int) -> HttpResponse:
    sku = sku_of(request, sku_key)
    choices.unlink_sku(sku.connection, sku.sku_id, request.user_id)
    words = _("No longer linked. The next order with this SKU is matched by its SKU again.")
    return back(request, sku.connection, Wish.from_query(request.POST), words)


# ---- many SKUs -------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@embedded
def match(request: EmbeddedRequest) -> HttpResponse:
    """GET shows what the next 50 SKUs match in Shopify, POST links what a person agreed to."""
    connection = chosen(request)
    if request.method != "POST":
        context = {"connection": connection, "found": sku_list.propose(connection)}
        return render_page(request, "connector/product_match.html", context)
    variants = sku_list.agreed(connection, request.POST.getlist("sku"))
    wanted = {sku_id: (variant.id, title_of(variant)) for sku_id, variant in variants.items()}
    woken = choices.link_skus(connection, wanted, request.user_id, by_hand=False)
    return back(request, connection, Wish(), linked(len(wanted)) + going_on(woken))


def linked(count: int) -> str:
    return ngettext("%(n)s product linked.", "%(n)s products linked.", count) % {"n": count}


@require_safe
@embedded
def export(request: EmbeddedRequest) -> StreamingHttpResponse:
    connection = chosen(request)
    file = StreamingHttpResponse(sku_file.written(connection), content_type="text/csv; charset=utf-8")
    file["Content-Disposition"] = 'attachment; filename="tiktok-products.csv"'
    return file


@require_POST
@embedded
def take_file(request: EmbeddedRequest) -> HttpResponse:
    """Link what a CSV file says, all of it or nothing."""
    connection = chosen(request)
    upload = request.FILES.get("file")
    if upload is None:
        return page(request, connection, Wish(), faults=[sku_file.Fault(0, _("Choose a file first."))])
    try:
        wanted = sku_file.read(connection, upload.read(sku_file.LARGEST_FILE + 1))
    except sku_file.Refused as error:
        more = len(error.faults) - FAULTS_SHOWN
        return page(request, connection, Wish(), faults=error.faults[:FAULTS_SHOWN], more=max(more, 0))
    woken = choices.link_skus(connection, wanted, request.user_id)
    return back(request, connection, Wish(), linked(len(wanted)) + going_on(woken))
