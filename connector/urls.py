from django.urls import path

from connector import embedded, status, webhooks
from connector.views import carriers, connect, home, orders, settings

urlpatterns = [
    path("", home.home, name="home"),
    path("orders", orders.orders, name="orders"),
    path("orders/rows", orders.rows, name="rows"),
    path("orders/<int:order_id>/<slug:choice>", orders.choose, name="choose"),
    path("parcels/<int:parcel_id>/send-anyway", orders.send_anyway, name="send-anyway"),
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
    path("webhooks/shopify", webhooks.from_shopify, name="shopify-webhook"),
    path("webhooks/tiktok", webhooks.from_tiktok, name="tiktok-webhook"),
    path("healthz", status.healthz),
    path("readyz", status.readyz),
    path("statusz", status.statusz),
    path("metrics", status.metrics),
]
handler404 = "connector.views.trouble.not_found"
handler500 = "connector.views.trouble.server_error"
