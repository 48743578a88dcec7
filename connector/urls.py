from django.urls import path

from connector import status, webhooks

urlpatterns = [
    path("webhooks/shopify", webhooks.from_shopify, name="shopify-webhook"),
    path("webhooks/tiktok", webhooks.from_tiktok, name="tiktok-webhook"),
    path("healthz", status.healthz),
    path("readyz", status.readyz),
    path("statusz", status.statusz),
    path("metrics", status.metrics),
]
