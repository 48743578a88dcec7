from django.apps import AppConfig


class ShopifyAppConfig(AppConfig):
    name = "shopify_app"
    label = "shopify_app"
    verbose_name = "Shopify"
