"""The two ways to start everything: `run` with sandboxes and a demo shop, `up` for a real store."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import environ

from connector.launcher import environment, visitor
from connector.launcher.children import Account, LauncherError, engine_account, let_pass, owner_name, spawn
from connector.launcher.engines import Engine, Postgres, Valkey, bring_up, check_reachable, socket_folder
from connector.launcher.processes import Program, Stopped, Watch, Watched, has_ended, last_words, say

PROJECT = Path(__file__).resolve().parent.parent.parent
RUN = PROJECT / ".run"
DEMO, STORE = RUN / "demo", RUN / "store"  # what each way to start keeps; `make clean` takes the first only
EARLIER_RUN_SECONDS = 20  # how long an earlier launcher may take to stop
ANSWER_SECONDS = 60
HOST = "127.0.0.1"
ENGINES = ("DATABASE_URL", "REDIS_URL")


def run() -> None:
    """Everything on this machine, both platforms played by sandboxes, nothing to configure."""
    with own_run_folder(DEMO) as state, watched_programs() as watch:
        ports = choose_ports(state, int(os.environ.get("PORT") or 8000), count=3)
        engines = start_engines(watch, DEMO, ENGINES)
        keys = environment.demo_keys(DEMO / "keys.json")
        env = environment.run_environment(os.environ, keys, ports, engines)
        prepare(DEMO, env)
        start_sandboxes(watch, env, ports[1:])
        start_product(watch, DEMO, env)
        if problem := visitor.visit(env):
            say("demo", problem)
        say("ready", f"open {visitor.frame_url(env)}")
        for line in environment.WHAT_TO_LOOK_AT:
            say("", line)
        watch.run()


def up() -> None:
    """The same processes for a real store, configured by the environment and .env only."""
    read_env_file()
    with own_run_folder(STORE) as state, watched_programs() as watch:
        env = dict(os.environ)
        env["PORT"] = str(choose_ports(state, int(env.get("PORT") or 8000), count=1)[0])
        own = [name for name in ENGINES if not env.get(name)]
        if "DATABASE_URL" in own:
            take_over_database()
        env |= start_engines(watch, STORE, own)
        prepare(STORE, env)
        start_product(watch, STORE, env)
        say("ready", f"{env['APP_URL']} is served from port {env['PORT']} of this machine")
        watch.run()


def manage_up(words: Sequence[str], folder: Path = STORE) -> int:
    """A manage.py command in the environment of the `make up` that keeps this folder; its exit code."""
    read_env_file()
    known = folder / "engines.json"
    engines: dict[str, str] = json.loads(known.read_text()) if known.exists() else {}
    env = engines | {name: value for name, value in os.environ.items() if value}
    return subprocess.call(manage(*words), env=env, cwd=PROJECT)  # noqa: S603 - our own command line


def read_env_file() -> None:
    if (PROJECT / ".env").exists():
        environ.Env.read_env(PROJECT / ".env", overwrite=False)


def take_over_database() -> None:
    """Earlier versions kept the demo's data and a store's in one place: whose it is nobody can tell, so it stays."""
    former, data = RUN / "postgres", STORE / "postgres"
    if former.exists() and not data.exists():
        former.rename(data)
        say("data", f"{former}, of an earlier version, is now {data}")


def start_sandboxes(watch: Watch, env: Mapping[str, str], ports: Sequence[int]) -> None:
    """Both platforms, in one process that learns its addresses from the same settings as the product."""
    words = (
        *("--state", str(DEMO / "sandbox"), "--shop", environment.DEMO_SHOP),
        *("--stream", env["DEMO_ORDER_SECONDS"], "--hold-seconds", env["HOLD_EXPECTED_SECONDS"]),
    )
    sandbox = start(watch, DEMO, "sandbox", manage("sandbox", *words), env)
    for port in ports:
        wait_until_open(sandbox, port)


def start_product(watch: Watch, folder: Path, env: Mapping[str, str]) -> None:
    guard = [sys.executable, "-m", "connector.launcher.guard"]
    web = start(watch, folder, "web", [*guard, *web_command(env)], env)
    for number in range(int(env.get("WORKER_PROCESSES") or 1)):
        start(watch, folder, f"worker{number + 1}", worker_command(), env)
    start(watch, folder, "clock", manage("clock"), env)
    wait_until_ready(web, f"http://{HOST}:{env['PORT']}/readyz")


def web_command(env: Mapping[str, str]) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws"),
        *("--host", env.get("HOST") or HOST, "--port", env["PORT"]),
        *("--workers", env.get("WEB_PROCESSES") or "2", "--blocking-threads", "4"),
        # With a thread goes its connection to PostgreSQL, and the next webhook would wait for another.
        *("--blocking-threads-idle-timeout", "600"),
        # A worker of granian that is told to stop while it starts may never hear it.
        *("--workers-kill-timeout", "8", "--log-level", "warning"),
        "connector.wsgi:application",
    ]


def worker_command() -> list[str]:
    ours = ["--worker-class", "connector.worker.ShopWorker"]
    return [*manage("rqworker", "default"), *ours, "--verbosity", "0"]


def manage(*words: str) -> list[str]:
    return [sys.executable, str(PROJECT / "manage.py"), *words]


def start(watch: Watch, folder: Path, name: str, command: Sequence[str], env: Mapping[str, str]) -> Watched:
    def begin() -> subprocess.Popen[bytes]:
        return spawn(command, env=env, output=subprocess.PIPE, cwd=PROJECT)

    return watch.start(Program(name, begin, log_of(folder, name)))


def log_of(folder: Path, name: str) -> Path:
    return folder / "log" / f"{name}.log"


def start_engines(watch: Watch, folder: Path, wanted: Sequence[str]) -> dict[str, str]:
    """Start the engines behind the environment names that are asked for. Gives their URLs."""
    if not wanted:
        return {}
    account = engine_account()
    let_pass(account, folder)
    check_reachable(account)
    sockets = fresh_sockets()
    made: dict[str, Engine] = {
        "DATABASE_URL": Postgres(
            own_data_folder(folder, account), sockets, log_of(folder, "postgres"), account
        ),
        "REDIS_URL": Valkey(sockets, log_of(folder, "valkey"), account),
    }
    for engine in (made[name] for name in wanted):
        child = bring_up(engine)
        watch.start(Program(engine.name, engine.start, engine.log, engine.stop_signal, is_engine=True), child)
    urls = {name: made[name].url for name in wanted}
    # for `manage` beside a running `up`; sockets, no secret
    (folder / "engines.json").write_text(json.dumps(urls))
    return urls


def own_data_folder(folder: Path, account: Account) -> Path:
    data = folder / "postgres"
    if data.exists() and not account.owns(data):
        owner = owner_name(data.stat().st_uid)
        afresh = ", or `make clean` to start afresh" if folder == DEMO else ""
        raise LauncherError(f"{data} belongs to {owner}: run as before{afresh}.")
    return data


def fresh_sockets() -> Path:
    """A new folder for the sockets at each start; the one of the last start goes."""
    remove_sockets()
    folder = socket_folder(engine_account())
    (RUN / "sockets").write_text(str(folder))
    return folder


def remove_sockets() -> None:
    with contextlib.suppress(FileNotFoundError):
        last = Path((RUN / "sockets").read_text())
        if last.name.startswith("tts-"):
            shutil.rmtree(last, ignore_errors=True)


def prepare(folder: Path, env: Mapping[str, str]) -> None:
    """Refuse what is configured wrongly, bring the database up to date, collect static files."""
    notes = log_of(folder, "prepare")
    say("prepare", "checking the settings, migrating the database, collecting static files")
    for words in (["check"], ["migrate", "--no-input"], ["collectstatic", "--no-input"]):
        done = subprocess.run(  # noqa: S603 - our own command
            manage(*words), env=dict(env), cwd=PROJECT, capture_output=True, text=True, check=False
        )
        with notes.open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise LauncherError(_reason(done.stderr) or f"manage.py {words[0]} failed ({notes})")


def _reason(stderr: str) -> str:
    """What went wrong, without the traceback: the check's own lines, or the exception's."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    found = [line for line in lines if "connector." in line and line.startswith(("?:", "connector"))]
    if found and not found[-1].startswith("connector.launcher"):
        return "\n".join(found)
    return lines[-1].removeprefix("django.core.exceptions.ImproperlyConfigured: ") if lines else ""


@contextlib.contextmanager
def watched_programs() -> Iterator[Watch]:
    """Everything started inside ends with it, whatever the way out."""
    watch = Watch()
    watch.listen_for_signals()
    try:
        yield watch
    except (Stopped, KeyboardInterrupt):
        say("stopping", "everything ends within 20 seconds; the data stays in .run/")
        note_state("stopping")
    finally:
        watch.stop()


@contextlib.contextmanager
def own_run_folder(folder: Path) -> Iterator[dict[str, str]]:
    """.run/ is ours alone while we run; what is to stay is kept in a folder of it. Gives the note that the last
    launcher left."""
    try:
        RUN.mkdir(mode=0o755, exist_ok=True)
        if RUN.stat().st_uid != os.geteuid():
            owner = owner_name(RUN.stat().st_uid)
            raise LauncherError(f"{RUN} belongs to {owner}: run as {owner}, or let {owner} remove it.")
        (folder / "log").mkdir(parents=True, exist_ok=True)
        lock = (RUN / "lock").open("w")
    except PermissionError as error:
        raise LauncherError(
            f"No right to write {error.filename}: the project belongs to somebody else."
        ) from None
    with lock:
        take_lock(lock.fileno())
        state = read_state()
        note_state("running")
        try:
            yield state
        finally:
            note_state("stopped")
            remove_sockets()


def take_lock(lock: int) -> None:
    until = time.monotonic() + EARLIER_RUN_SECONDS
    grace = time.monotonic() + 1
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read_state()
            patient = until if state.get("state") == "stopping" else grace
            if time.monotonic() > patient:
                running = f"It runs already here (process {state.get('pid', '?')}): stop it with Ctrl-C there"
                raise LauncherError(f"{running} or `kill {state.get('pid', '?')}`.") from None
            time.sleep(0.2)


def read_state() -> dict[str, str]:
    try:
        found = json.loads((RUN / "state.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note_state(state: str) -> None:
    (RUN / "state.json").write_text(json.dumps({"state": state, "pid": str(os.getpid())}))


def choose_ports(state: Mapping[str, str], wanted: int, count: int) -> list[int]:
    """Free ports from `wanted` on. After an unclean stop the old ones get a moment to become free."""
    patience = time.monotonic() + (5 if state.get("state") in ("running", "stopping") else 0)
    while not is_free(wanted) and time.monotonic() < patience:
        time.sleep(0.2)
    ports = [port for port in range(wanted, min(wanted + 200, 65536)) if is_free(port)][:count]
    if len(ports) < count:
        raise LauncherError(f"No free port from {wanted} on: set PORT.")
    if ports[0] != wanted:
        say("port", f"{wanted} is taken by another program, using {ports[0]}")
    return ports


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def wait_until_open(one: Watched, port: int) -> None:
    def is_open() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        return False

    wait_for(one, is_open)


def wait_until_ready(one: Watched, url: str) -> None:
    def answers() -> bool:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=5) as reply,
        ):
            return bool(reply.status == 200)
        return False

    wait_for(one, answers)


def wait_for(one: Watched, is_up: Callable[[], bool]) -> None:
    until = time.monotonic() + ANSWER_SECONDS
    while not is_up():
        if one.child is None or has_ended(one.child):
            raise LauncherError(f"{one.program.name} did not start; {last_words(one.program.log)}")
        if time.monotonic() > until:
            raise LauncherError(f"{one.program.name} gives no answer; {last_words(one.program.log)}")
        time.sleep(0.1)
