from django.apps import AppConfig


class ConnectorConfig(AppConfig):
    name = "connector"
    label = "connector"

    def ready(self) -> None:
        from connector import checks  # noqa: F401  (registers the system checks)
