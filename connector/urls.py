from django.conf import settings as configured
from django.urls import path

from connector import embedded, status, webhooks
from connector.views import (
    carriers,
    connect,
    help,
    home,
    older,
    order,
    orders,
    parcels,
    products,
    proof,
    settings,
)

urlpatterns = [
    # Not granian's way to them, which is shorter: connector/wsgi.py.
    path("webhooks/shopify", webhooks.as_view(webhooks.from_shopify), name="shopify-webhook"),
    path("webhooks/tiktok", webhooks.as_view(webhooks.from_tiktok), name="tiktok-webhook"),
    path("", home.home, name="home"),
    path("home/standing", home.standing, name="standing"),
    path("connections/<int:connection_id>/guide", home.setup_guide, name="setup-guide"),
    path("connections/<int:connection_id>/guide/<slug:what>", home.fold_guide, name="fold-guide"),
    path("connections/<int:connection_id>/check", home.check_setup, name="check-setup"),
    path("proof", proof.day, name="proof"),
    path("proof/<str:of>/comparison", proof.comparison, name="comparison"),
    path("proof/<str:of>/compare", proof.compare, name="compare"),
    path("help", help.page, name="help"),
    path("help/diagnostics.json", help.diagnostics, name="diagnostics"),
    path("orders", orders.orders, name="orders"),
    path("orders/rows", orders.rows, name="rows"),
    path("orders/export", orders.export, name="export-orders"),
    path("orders/chosen/<slug:choice>", orders.choose_many, name="choose-many"),
    path("orders/<int:order_id>", order.order, name="order"),
    path("orders/<int:order_id>/live", order.order_live, name="order-live"),
    path("orders/<int:order_id>/<slug:choice>", order.choose, name="choose"),
    path("parcels/<int:parcel_id>/correct", parcels.correct, name="correct"),
    path("parcels/<int:parcel_id>/<slug:choice>", parcels.choose, name="choose-parcel"),
    path("orders/older", older.older_orders, name="older-orders"),
    path("orders/older/<slug:do>", older.decide, name="decide-older"),
    path("products", products.products, name="products"),
    path("products/read", products.read_again, name="read-products"),
    path("products/match", products.match, name="match-products"),
    path("products/export", products.export, name="export-products"),
    path("products/import", products.take_file, name="import-products"),
    path("products/<int:sku_key>", products.link, name="link-product"),
    path("products/<int:sku_key>/unlink", products.unlink, name="unlink-product"),
    path("carriers", carriers.carriers, name="carriers"),
    path("carriers/try", carriers.try_number, name="try-number"),
    path("carriers/link", carriers.link, name="link-carrier"),
    path("settings", settings.edit, name="settings"),
    path("settings/scopes", settings.read_scopes, name="scopes"),
    path("connections", connect.connections, name="connections"),
    path("connections/<int:connection_id>/disconnect", connect.disconnect, name="disconnect"),
    path("connections/<int:connection_id>/resume", connect.resume, name="resume"),
    path("connections/<int:connection_id>/pause", settings.pause, name="pause"),
    path("connections/<int:connection_id>/unpause", settings.unpause, name="unpause"),
    path("tiktok/consents", connect.consents, name="consents"),
    path("tiktok/callback", connect.tiktok_callback, name="tiktok-callback"),
    path("tiktok/confirm", connect.tiktok_confirm, name="tiktok-confirm"),
    path("auth/session-token", embedded.session_token_page, name="session-token"),
    path("healthz", status.healthz),
    path("readyz", status.readyz),
    path("statusz", status.statusz),
    path("metrics", status.metrics),
]
if configured.ADMIN_ENABLED:
    from connector.admin import site

    urlpatterns.append(path("admin/", site.urls))  # type: ignore[arg-type]
handler404 = "connector.views.trouble.not_found"
handler500 = "connector.views.trouble.server_error"
