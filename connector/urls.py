from django.urls import path

from connector import embedded, status, views, webhooks

urlpatterns = [
    path("", views.home, name="home"),
    path("orders/rows", views.rows, name="rows"),
    path("orders/<int:order_id>/<slug:choice>", views.choose, name="choose"),
    path("parcels/<int:parcel_id>/send-anyway", views.send_anyway, name="send-anyway"),
    path("connections", views.connections, name="connections"),
    path("connections/<int:connection_id>/disconnect", views.disconnect, name="disconnect"),
    path("connections/<int:connection_id>/resume", views.resume, name="resume"),
    path("tiktok/consents", views.consents, name="consents"),
    path("tiktok/callback", views.tiktok_callback, name="tiktok-callback"),
    path("tiktok/confirm", views.tiktok_confirm, name="tiktok-confirm"),
    path("auth/session-token", embedded.session_token_page, name="session-token"),
    path("webhooks/shopify", webhooks.from_shopify, name="shopify-webhook"),
    path("webhooks/tiktok", webhooks.from_tiktok, name="tiktok-webhook"),
    path("healthz", status.healthz),
    path("readyz", status.readyz),
    path("statusz", status.statusz),
    path("metrics", status.metrics),
]
handler404 = "connector.views.not_found"
handler500 = "connector.views.server_error"
