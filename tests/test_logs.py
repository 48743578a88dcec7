"""connector/logs.py: what a line shows and what it never shows. A process of its own writes the lines."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
BEGIN = """
import logging, logging.config, structlog
from connector.logs import build_logging
logging.config.dictConfig(build_logging("DEBUG", "{fmt}"))
log, own = logging.getLogger("connector.test"), structlog.get_logger("connector.test")
URL = "https://auth.tiktok-shops.com/api/v2/token/get?app_secret=s3cret&auth_code=c0de"
"""


def written_by(script: str, fmt: str = "json") -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.format(fmt=fmt) + script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout
    return done.stderr


def test_a_line_is_json_with_its_facts():
    written = written_by(
        'log.info("order %s moved", 7, extra={"state": "on_hold"})\nown.warning("late", shop="a.myshopify.com")'
    )
    first, second = map(json.loads, written.splitlines())
    assert (first["event"], first["level"], first["state"]) == ("order 7 moved", "info", "on_hold")
    assert (second["event"], second["level"], second["shop"]) == ("late", "warning", "a.myshopify.com")


def test_private_keys_keep_their_name_and_lose_their_value():
    keys = [
        "access_token",
        "app_secret",
        "shipping_address",
        "buyer_name",
        "name",
        "phone",
        "email",
        "Authorization",
    ]
    written = written_by(
        f"for key in {keys!r}:\n"
        '    log.info("seen", extra={"facts": {key: "Ada Lovelace", "order": "577"}})\n'
        '    own.info("seen", **{key: "Ada Lovelace"})\n'
    )
    assert len(written.splitlines()) == 2 * len(keys)
    assert "Ada" not in written and "577" in written and all(key in written for key in keys)


def test_query_strings_and_mail_addresses_are_scrubbed_also_out_of_tracebacks():
    written = written_by(
        'log.warning("call to %s for ada@example.com failed", URL)\n'
        'try:\n    raise ConnectionError(f"Max retries exceeded with url: {URL}")\n'
        'except ConnectionError:\n    log.exception("step failed")\n'
    )
    assert "s3cret" not in written and "c0de" not in written and "ada@" not in written
    assert "ConnectionError" in written and "/api/v2/token/get" in written


def test_libraries_do_not_print_urls_at_debug():
    assert written_by('logging.getLogger("urllib3.connectionpool").debug("GET %s", URL)') == ""


def test_the_console_format_passes_the_same_filter():
    written = written_by('own.info("go", url=URL, phone="555")', fmt="console")
    assert "go" in written and "c0de" not in written and "555" not in written
