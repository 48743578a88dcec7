"""What the prose says exists: tests, files, variables with their defaults, make targets, commands, routes."""

import ast
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.db import connection as database
from django.urls import Resolver404, resolve
from django.utils import timezone

from connector.models import Connection, InboxEvent, Order
from connector.states import OrderState as State

PROJECT = Path(__file__).resolve().parent.parent
README, DECISIONS, OPERATIONS, SECURITY = (
    PROJECT / name for name in ("README.md", "docs/decisions.md", "docs/operations.md", "docs/security.md")
)
PAPERS = [README, PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]
ROOTS = (PROJECT, PROJECT / "connector")  # the README's floors name the rooms of connector/ without it
NO_FLOOR = {"apps", "urls", "wsgi", "management", "migrations", "templatetags"}  # Django's own places
MADE_LATER = (".run/", ".env", ".venv/")
FILE = re.compile(r"[\w./-]+(?:\.(?:py|md|html|json|toml|txt|graphql|svg|log)|/)")
VARIABLE = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
OUTSIDE_SETTINGS = ("connector/launcher/stack.py", "connector/launcher/environment.py", "Procfile")


def code_in(paper: Path) -> list[str]:
    """What stands in backticks, outside blocks."""
    prose = re.sub(r"^( *)```.*?^\1```", "", paper.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def blocks_of(paper: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", paper.read_text(), flags=re.MULTILINE | re.DOTALL)


# ---- names ----


def test_every_test_that_a_decision_names_exists_in_the_file_it_names():
    named = re.findall(r"^- `(tests/\w+\.py)`: (.+)$", DECISIONS.read_text(), flags=re.MULTILINE)
    for file, tests in named:
        source = (PROJECT / file).read_text()
        for test in re.findall(r"`(\w+)`", tests):
            assert f"\ndef {test}(" in source, f"{file} has no {test}"


def test_every_decision_names_a_test():
    for decision in DECISIONS.read_text().split("\n### ")[1:]:
        assert "\n- `tests/" in decision, decision.splitlines()[0]


def test_every_test_that_the_page_on_security_names_exists():
    sources = "".join(path.read_text() for path in (PROJECT / "tests").glob("test_*.py"))
    named = [code for code in code_in(SECURITY) if code.startswith("test_")]
    assert len(named) > 40
    assert [name for name in named if f"\ndef {name}(" not in sources] == []


def test_every_door_on_the_page_on_security_names_a_test():
    doors = SECURITY.read_text().split("\n## Doors\n")[1].split("\n## ")[0]
    for row in re.findall(r"^\| .+$", doors, flags=re.MULTILINE)[1:]:
        assert "`test_" in row, row.split("|")[1]


def test_every_picture_that_is_named_is_there_and_all_stay_small():
    pictures = PROJECT / "docs" / "pictures"
    named = re.findall(r"\[!\[([^\]]+)\]\((docs/pictures/[^)]+)\)\]\(([^)]+)\)", README.read_text())
    assert len(named) >= 4
    for words, shown, linked in named:
        assert len(words.split()) > 5, f"{shown} needs words for who cannot see it"
        assert (PROJECT / shown).is_file() and linked == shown
    made = {path.stem for path in pictures.iterdir()}
    assert {name.removesuffix("-wide") for name in made if name.endswith("-wide")} == {
        name.removesuffix("-narrow") for name in made if name.endswith("-narrow")
    }
    assert sum(path.stat().st_size for path in pictures.iterdir()) <= 1_500_000


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_file_and_folder_that_is_named_exists(paper):
    for name in filter(FILE.fullmatch, code_in(paper)):
        if not name.startswith(("/", *MADE_LATER)):
            assert any((root / name).exists() for root in ROOTS), name


def test_every_module_of_the_connector_stands_on_a_floor_of_the_readme():
    floors = README.read_text().partition("| Floor |")[2].partition("\n|---")[2].partition("\n\n")[0]
    named = {name.removesuffix("/") for name in re.findall(r"`(\w+)(?:\.py|/)`", floors)}
    rooms = {path.stem for path in (PROJECT / "connector").iterdir() if not path.name.startswith("_")}
    assert named == rooms - NO_FLOOR


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_link_into_the_repository_leads_somewhere(paper):
    for target in re.findall(r"\]\(([^)]+)\)", paper.read_text()):
        assert target.startswith("https://") or (paper.parent / target).exists(), target


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_command_that_is_named_exists(paper):
    makefile = (PROJECT / "Makefile").read_text()
    for code in code_in(paper):
        for target in re.findall(r"\bmake ([a-z-]+)", code):
            assert f"\n{target}:" in makefile, target
        for command in re.findall(r"manage\.py ([a-z_]+)", code):
            assert command in get_commands(), command


@pytest.mark.parametrize("paper", [README, OPERATIONS], ids=lambda paper: paper.name)
def test_every_route_that_is_named_is_served(paper):
    for code in code_in(paper):
        if re.fullmatch(r"/[a-z/-]+", code):
            try:
                resolve(code)
            except Resolver404:
                pytest.fail(code)


# ---- variables ----


def variables_read() -> dict[str, str]:
    """Name -> default of every variable that settings.py reads, as a person would write it."""
    read = {}
    for node in ast.walk(ast.parse((PROJECT / "connector/settings.py").read_text())):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        called = ast.unparse(node.func)
        if re.fullmatch(r"env\.\w+", called):
            default = next((key.value for key in node.keywords if key.arg == "default"), None)
            asked_before = node.args[0].value in read and default is None
            if not asked_before:
                read[node.args[0].value] = "required" if default is None else written(default)
    return read


def written(default: ast.expr) -> str:
    value = eval(ast.unparse(default))
    if value in ("", []):
        return "empty"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else str(value)


def table() -> dict[str, str]:
    """Name -> default, as the README has it."""
    return dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", README.read_text(), flags=re.MULTILINE))


def test_the_readme_lists_every_variable_with_its_default():
    told = table()
    assert {name: told.get(name) for name in variables_read()} == variables_read()


def test_the_readme_lists_no_variable_that_nobody_reads():
    sources = "".join((PROJECT / file).read_text() for file in OUTSIDE_SETTINGS)
    assert {name for name in table().keys() - variables_read() if name not in sources} == set()


def test_the_example_of_an_env_file_knows_only_variables_of_the_table():
    text = (PROJECT / ".env.example").read_text()
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", text, flags=re.MULTILINE)) <= table().keys()


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_variable_that_is_named_is_in_the_table(paper):
    named = {code.partition("=")[0] for code in code_in(paper)}
    assert {name for name in named if VARIABLE.fullmatch(name)} <= table().keys()


# ---- what the guide to operations tells people to type ----


def test_after_a_restore_the_guides_steps_make_nothing_twice(world):
    backup_time = timezone.now() - timedelta(minutes=1)
    lost = [world.placed(), world.placed(hold=False)]  # a draft and an order that the backup does not know
    known = world.placed()  # the backup knows the order, and not its draft
    forget(*lost)
    back_to_received(known)
    Connection.objects.update(tiktok_cursor=backup_time, tiktok_pulled_at=None, due_at=timezone.now())
    time.sleep(1)  # TikTok's times are whole seconds
    before, after, *_others = blocks_of(OPERATIONS, "sql")
    run(before)
    world.settle()
    assert {world.order(order.tiktok_id).state for order in lost} == {State.OFFERED}
    run(after.replace(":'backup_time'", f"'{backup_time.isoformat()}'"))
    world.settle()
    for was in (*lost, known):
        now = world.order(was.tiktok_id)
        assert now.state == was.state
        assert now.order_gid == was.order_gid
        assert now.order_gid or now.draft_gid == was.draft_gid
    assert len(world.shopify_effects("draft_created")) == 3


def forget(*orders: Order) -> None:
    InboxEvent.objects.all().delete()
    Order.objects.filter(pk__in=[order.pk for order in orders]).delete()


def back_to_received(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(
        state=State.RECEIVED, draft_gid="", create_tries=0, due_at=timezone.now()
    )


def run(statements: str) -> None:
    with database.cursor() as cursor:
        for statement in filter(str.strip, statements.split(";")):
            cursor.execute(statement)
