"""What is secret or personal never shows in a `repr`: every data class and every row of the product is asked."""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps

import connector
import shopify_app
import tiktok

PRIVATE = re.compile(
    r"token|secret|cipher|sealed|previous_refresh|ticket|nonce|phone|address|postal|first_name|last_name|email"
)
NO_SECRET = {
    "next_page_token",  # a place in a list
    "Webhook.address",  # our own, public
    "Order.address",  # an Address, which is asked itself
    "has_updated_recipient_address",
    "Policy.alert_email",  # the merchant's own, typed in Settings to be alerted at
}
SKIPPED = (".sandbox", ".management", ".migrations", ".launcher", ".wsgi", ".admin")


def data_classes() -> Iterator[type]:
    for package in (connector, shopify_app, tiktok):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(part in found.name for part in SKIPPED):
                module = importlib.import_module(found.name)
                for value in vars(module).values():
                    if dataclasses.is_dataclass(value) and getattr(value, "__module__", "") == found.name:
                        yield value


def private_fields(cls: type) -> list[str]:
    names = [field.name for field in dataclasses.fields(cls) if PRIVATE.search(field.name)]
    return [name for name in names if not {name, f"{cls.__name__}.{name}"} & NO_SECRET]


HOLDING = sorted(
    {cls for cls in data_classes() if private_fields(cls)}, key=lambda cls: (cls.__module__, cls.__qualname__)
)


@pytest.mark.parametrize("cls", HOLDING, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_a_data_class_hides_what_is_secret_or_personal(cls):
    one: Any = object.__new__(cls)
    for field in dataclasses.fields(cls):
        object.__setattr__(one, field.name, "s3cret" if field.name in private_fields(cls) else "")
    assert "s3cret" not in repr(one)


@pytest.mark.parametrize("model", [m for m in apps.get_models() if m.__module__.split(".")[0] != "django"])
def test_a_row_hides_what_is_secret(model):
    texts = [f.name for f in model._meta.concrete_fields if PRIVATE.search(f.name) and not f.is_relation]
    row = model(**dict.fromkeys(texts, "s3cret"))
    assert "s3cret" not in repr(row) + str(row)


def test_the_classes_that_hold_them_are_found():
    assert len(HOLDING) >= 5
