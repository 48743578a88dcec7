"""Write every stored token anew with the first of TOKEN_ENCRYPTION_KEYS. Safe beside running workers, and again."""

from collections import Counter
from typing import Any

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from connector.models import Consent
from shopify_app.models import Shop
from tiktok.models import Seller

# Every column that holds a ciphertext; tests/test_rotation.py looks for others.
SEALED: dict[Any, tuple[str, ...]] = {
    Shop: ("access_token", "refresh_token", "previous_refresh"),
    Seller: ("access_token_sealed", "refresh_token_sealed", "previous_refresh_token_sealed"),
    Consent: ("code_sealed",),
}
BATCH = 200
WRITTEN, ALREADY, BUSY, UNREADABLE = "written anew", "already under the first key", "busy", "unreadable"


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        total: Counter[str] = Counter()
        for model, columns in SEALED.items():
            counted = rotate(model, columns)
            total += counted
            said = ", ".join(f"{counted[what]} {what}" for what in (WRITTEN, ALREADY, BUSY, UNREADABLE))
            self.stdout.write(f"{model._meta.label}: {said}")
        if total[BUSY]:
            raise CommandError("Busy rows are being refreshed right now: run this again in half a minute.")
        if total[UNREADABLE]:
            raise CommandError("No key opens the unreadable rows: their merchants have to connect again.")


def rotate(model: Any, columns: tuple[str, ...]) -> Counter[str]:
    counted: Counter[str] = Counter()
    last = 0
    while rows := list(model.objects.filter(pk__gt=last).order_by("pk").values("pk", *columns)[:BATCH]):
        counted.update(rotate_row(model, row["pk"], {name: row[name] for name in columns}) for row in rows)
        last = rows[-1]["pk"]
    return counted


def rotate_row(model: Any, key: int, stored: dict[str, str]) -> str:
    """One UPDATE, guarded by the ciphertexts that were read. A row whose pair is being refreshed is left alone,
    because the refresher stores its new pair only over the ciphertext that it has read.
    """
    old = {name: text for name, text in stored.items() if text and not opens_first(text)}
    if not old:
        return ALREADY
    try:
        new = {name: settings.TOKEN_CIPHER.rotate(text.encode()).decode() for name, text in old.items()}
    except InvalidToken:
        return UNREADABLE
    idle = model.objects.filter(pk=key, **old)
    if hasattr(model, "refreshing_until"):
        idle = idle.filter(Q(refreshing_until=None) | Q(refreshing_until__lt=timezone.now()))
    return WRITTEN if idle.update(**new) else BUSY


def opens_first(text: str) -> bool:
    try:
        settings.FIRST_TOKEN_CIPHER.decrypt(text.encode())
    except InvalidToken:
        return False
    return True
