"""Who may import whom, and who may read the environment. Walks the source, imports nothing."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PLATFORMS = ("tiktok", "shopify_app")
# Lower floors know nothing of higher ones, also not by way of a module that is not listed.
FLOORS = [
    {
        "settings",
        "variables",
        "checks",
        "logs",
        "error_reports",
        "transport",
        "wake",
        "doorbells",
        "launcher",
    },
    {"mapping", "pairing", "states", "outcomes", "carriers", "rules", "policy", "reasons"},
    {"work", "sql", "postgres"},
    {"models"},
    {
        *(
            "observing",
            "cancel_requests",
            "waits",
            "matching",
            "neighbours",
            "reading",
            "platforms",
            "payment",
        ),
        *("setup", "catalogue"),
    },
    {"finalizing", "counterparts"},
    {"importing"},
    {"holding", "following"},
    {"steps", "parcels", "pulls", "audits"},
    {"inbox"},
    {
        *("embedded", "chosen", "listing", "proof", "figures", "sku_list", "carrier_names", "seen", "health"),
        *(
            "consent",
            "choices",
            "correction",
            "preferences",
            "forms",
            "keys",
            "sku_file",
            "timeline",
            "progress",
        ),
        *("goods", "guide", "diagnostics", "export", "places", "amounts", "cancelled", "deadlines", "chart"),
    },
    {"webhooks", "views", "bundle", "admin", "jobs", "turns", "heard", "alerts", "status", "probe"},
    {"urls", "clock", "worker"},
]
NO_FLOOR = {"connector", "apps", "wsgi", "management", "templatetags"}  # Django's own places


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file, without migrations."""
    found = {}
    for path in sorted((PROJECT / package).rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        if "migrations" not in parts:
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


ALL = {name: path for package in (*PLATFORMS, "connector") for name, path in modules(package).items()}


def imports(name: str, *, for_types: bool = True) -> set[str]:
    """Dotted names of our own modules that the module imports, also inside functions. What only the type checker
    sees is left out on demand."""
    found = set()
    tree = ast.parse(ALL[name].read_text())
    tree.body = [node for node in tree.body if for_types or not is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(name, node)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in ALL)
    return {module for module in found if module in ALL}


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def absolute(name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if ALL[name].name == "__init__.py" else name.split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *(node.module or "").split(".")]).rstrip(".")


def floor(module: str) -> int | None:
    room = module.removeprefix("connector.").split(".")[0]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platform_knows_neither_the_connector_nor_the_other_platform(platform):
    others = {"connector", *PLATFORMS} - {platform}
    for name in modules(platform):
        assert not {module for module in imports(name) if module.split(".")[0] in others}, name


def test_product_code_never_imports_a_sandbox():
    allowed = {"connector.management.commands.sandbox"}
    for name in ALL.keys() - allowed:
        if ".sandbox" not in name:
            assert not {module for module in imports(name) if ".sandbox" in module}, name


def test_a_sandbox_judges_by_the_published_contract_and_not_by_product_code():
    for platform in PLATFORMS:
        for name in modules(f"{platform}/sandbox"):
            outside = {module for module in imports(name) if not module.startswith(f"{platform}.sandbox")}
            assert outside <= {platform}, f"{name} imports {outside}"


def test_inside_the_connector_arrows_go_down_only():
    for name in modules("connector"):
        mine = floor(name)
        for module, theirs in reached(name).items():
            assert mine is None or theirs <= mine, f"{name} reaches {module}"


def reached(name: str) -> dict[str, int]:
    """The listed modules that `name` imports, itself or through modules that are not listed."""
    found: dict[str, int] = {}
    seen, waiting = {name}, list(imports(name, for_types=False))
    while waiting:
        module = waiting.pop()
        number = floor(module) if module.startswith("connector.") else None
        if number is not None:
            found[module] = number
        elif module not in seen and not module.startswith("connector.launcher"):
            seen.add(module)
            waiting.extend(imports(module, for_types=False))
    found.pop(name, None)
    return found


def test_nobody_imports_the_jobs_but_the_clock_and_the_worker():
    allowed = {"connector.clock", "connector.management.commands.clock", "connector.worker", "connector.jobs"}
    for name in ALL.keys() - allowed:
        assert "connector.jobs" not in imports(name), name


def test_the_launcher_stands_alone():
    for name in modules("connector/launcher"):
        assert {module for module in imports(name) if not module.startswith("connector.launcher")} <= {
            "connector"
        }, name
    for name in ALL.keys() - modules("connector/launcher").keys():
        assert not {module for module in imports(name) if module.startswith("connector.launcher")}, name


def test_only_the_settings_read_the_environment():
    """The launcher makes the environment; wsgi.py names the settings module."""
    for name, path in ALL.items():
        if name.startswith("connector.launcher") or name in ("connector.settings", "connector.wsgi"):
            continue
        source = path.read_text()
        assert "environ" not in source.replace("environment", "") and "getenv" not in source, name


DOORS = {"connector.models"}  # Order.move, Parcel.move and Parcel.shift
WRITES = ("update", "bulk_update", "wake", "keep", "release", "succeed", "wait", "ask")


def test_a_state_is_written_by_its_doors_only():
    """They know which moves there are, and write the log by the same statement."""
    for name in modules("connector").keys() - DOORS:
        for node in ast.walk(ast.parse(ALL[name].read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in WRITES:
                written = {keyword.arg for keyword in node.keywords}
                assert "state" not in written, f"{name}:{node.lineno}"


def test_every_room_stands_on_one_floor():
    rooms = [room for rooms in FLOORS for room in rooms]
    known = {name.removeprefix("connector.").split(".")[0] for name in modules("connector")}
    assert sorted(rooms) == sorted(known - NO_FLOOR)


def test_nothing_refers_to_a_path_outside_the_repository():
    for package in (*PLATFORMS, "connector", "tests", "templates", "static", "docs", "bench"):
        for path in (PROJECT / package).rglob("*"):
            if path.suffix in {".py", ".html", ".md", ".js", ".css", ".graphql"} and path != Path(__file__):
                text = path.read_text()
                assert "../shared" not in text and "/work/" not in text, path
