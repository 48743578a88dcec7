"""Every word that a merchant reads can be translated; and how much a page of ours weighs."""

import gzip
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation.template import templatize

from connector.reasons import REASONS
from connector.states import OrderState, ParcelState

PROJECT = Path(settings.BASE_DIR)
TEMPLATES = sorted((PROJECT / "templates").rglob("*.html"))
NAMES = {"TikTok", "Shopify"}  # the same in every language
SPOKEN = r'\b(?:heading|label|details|placeholder|aria-label|alt|title|error|accessibilitylabel)="([^"]*)"'
HEAVIEST = 60_000  # bytes of our style and scripts, compressed


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_words_outside_of_gettext(template):
    text = template.read_text()
    text = re.sub(r"{% blocktranslate.*?{% endblocktranslate %}", " ", text, flags=re.DOTALL)
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", " ", text, flags=re.DOTALL)
    spoken = " ".join(re.findall(SPOKEN, text))
    text = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", text, flags=re.DOTALL)
    shown = re.sub(r"<!doctype[^>]*>|<[^>]*>|&\w+;", " ", text, flags=re.DOTALL)
    words = re.findall(r"[A-Za-z]{2,}", f"{shown} {spoken}")
    assert [word for word in words if word not in NAMES] == []


def test_what_a_translator_gets_holds_the_words_of_every_template():
    for template in TEMPLATES:
        source = template.read_text()
        extracted = templatize(source)
        for words in re.findall(r'{% translate ["\']([^"\'{}]+)["\'] %}', source):
            assert words.replace("%", "%%") in extracted, template.name


def test_states_and_reasons_are_said_in_the_reader_s_language():
    labels = [member._label_ for states in (OrderState, ParcelState) for member in states]
    assert [label for label in labels if not isinstance(label, Promise)] == []
    told = [
        (reason.code, words)
        for reason in REASONS.values()
        for words in (reason.title, reason.why, reason.do, reason.figures)
        if words
    ]
    assert [code for code, words in told if not isinstance(words, Promise)] == []
    with translation.override("de"):
        assert str(OrderState.ON_HOLD.label)


def test_our_style_and_scripts_stay_light():
    files = [path for path in (PROJECT / "static").rglob("*") if path.suffix in (".css", ".js")]
    assert len(files) >= 3
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= HEAVIEST
