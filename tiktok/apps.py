from django.apps import AppConfig


class TikTokConfig(AppConfig):
    name = "tiktok"
    label = "tiktok"
    verbose_name = "TikTok Shop"
