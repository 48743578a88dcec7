"""`manage.py rotate_keys`: every token under the first key, beside running workers, and not a word of any token."""

import io
import os
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.utils import timezone

from connector.management.commands import rotate_keys
from connector.models import Consent
from shopify_app.errors import AccessLost
from shopify_app.models import Shop
from tests.shopify_script import make_shop, opened, sealed
from tiktok.models import Seller, seal

CIPHERTEXT = "gAAAA"  # what every Fernet token begins with
TEXTS = """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY')"""
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def new_key(settings) -> Callable[[], Fernet]:
    """Called, another key is the first. What was sealed before stays under the former ones."""

    def put_first() -> Fernet:
        former = [Fernet(key) for key in os.environ["TOKEN_ENCRYPTION_KEYS"].split(",")]
        new = Fernet(Fernet.generate_key())
        settings.FIRST_TOKEN_CIPHER = MultiFernet([new])
        settings.TOKEN_CIPHER = MultiFernet([new, *former])
        return new

    return put_first


def planted() -> None:
    make_shop(access_token="shpat_secret", refresh_token="shprt_secret", previous_refresh="shprt_former")
    now = timezone.now()
    Seller.objects.create(
        app="US",
        open_id="o",
        access_token_sealed=seal("ROW_access"),
        refresh_token_sealed=seal("ROW_refresh"),
        previous_refresh_token_sealed=seal("ROW_former"),
        access_expires_at=now + timedelta(days=7),
        refresh_expires_at=now + timedelta(days=300),
        granted_at=now,
    )
    Consent.objects.create(nonce="n", code_sealed=seal("TTP_code"))


def rotate() -> str:
    said = io.StringIO()
    call_command("rotate_keys", stdout=said)
    return said.getvalue()


def ciphertexts() -> dict[str, list[str]]:
    """Every ciphertext in any column of any table, by "table.column"."""
    found = {}
    with database.cursor() as cursor:
        cursor.execute(TEXTS)
        for table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT "{column}"::text FROM "{table}" WHERE "{column}"::text LIKE %s', ["%gAAAA%"]
            )
            if texts := [row[0] for row in cursor.fetchall()]:
                found[f"{table}.{column}"] = texts
    return found


def test_after_it_every_ciphertext_of_every_table_is_under_the_first_key(new_key):
    planted()
    former, new = ciphertexts(), new_key()
    columns = {
        f"{model._meta.db_table}.{name}" for model, names in rotate_keys.SEALED.items() for name in names
    }
    assert former.keys() == columns
    rotate()
    for texts in ciphertexts().values():
        assert all(new.decrypt(text.encode()) for text in texts)
    assert opened(Shop.objects.get().previous_refresh) == "shprt_former"
    assert Seller.objects.get().token == "ROW_access"


def test_it_prints_counts_and_never_a_token_and_passes_over_what_is_done(new_key):
    planted()
    new_key()
    said = rotate()
    assert "shopify_app.Shop: 1 written anew, 0 already under the first key, 0 busy, 0 unreadable" in said
    assert not any(word in said for word in ("secret", "former", "ROW_", "TTP_", CIPHERTEXT))
    kept = ciphertexts()
    assert "shopify_app.Shop: 0 written anew, 1 already under the first key" in rotate()
    assert ciphertexts() == kept


def test_it_goes_through_more_rows_than_a_batch_has(new_key):
    token = sealed("shprt_1")
    n = rotate_keys.BATCH + 1
    Shop.objects.bulk_create(Shop(domain=f"{i}.myshopify.com", refresh_token=token) for i in range(n))
    new_key()
    assert f"shopify_app.Shop: {n} written anew" in rotate()


def test_a_pair_that_is_being_refreshed_is_left_to_its_refresher(new_key):
    shop = make_shop(refreshing_until=timezone.now() + timedelta(seconds=30))
    kept = Shop.objects.values_list("refresh_token").get()
    new_key()
    with pytest.raises(CommandError, match="run this again"):
        rotate()
    assert Shop.objects.values_list("refresh_token").get() == kept
    Shop.objects.filter(pk=shop.pk).update(refreshing_until=timezone.now() - timedelta(seconds=1))
    assert "1 written anew" in rotate()


def test_what_changed_since_it_was_read_is_not_overwritten(new_key):
    shop = make_shop(refresh_token="read")
    read = {"refresh_token": shop.refresh_token}
    new_key()
    Shop.objects.update(refresh_token=sealed("newer"))
    assert rotate_keys.rotate_row(Shop, shop.pk, read) == rotate_keys.BUSY
    assert opened(Shop.objects.get().refresh_token) == "newer"


def test_a_token_that_no_key_opens_is_said_left_and_replaced_when_the_merchant_opens_the_app(settings):
    shop = make_shop()
    settings.TOKEN_CIPHER = settings.FIRST_TOKEN_CIPHER = MultiFernet([Fernet(Fernet.generate_key())])
    with pytest.raises(CommandError, match="connect again"):
        rotate()
    with pytest.raises(AccessLost):
        shop.token(None)
    assert not shop._well_granted()  # the next session token is exchanged


def test_the_former_key_alone_opens_nothing_afterwards(settings, new_key):
    planted()
    former = settings.TOKEN_CIPHER
    new_key()
    rotate()
    for texts in ciphertexts().values():
        for text in texts:
            with pytest.raises(InvalidToken):
                former.decrypt(text.encode())
