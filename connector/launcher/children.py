"""Child processes that cannot outlive us, and the account that engines run as."""

import ctypes
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec it would be too late


class LauncherError(Exception):
    """Something a person has to put right, in one line."""


@dataclass(frozen=True)
class Account:
    """Whom engines run as: ourselves, or nobody when we are root (PostgreSQL refuses to run as root)."""

    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def owns(self, path: Path) -> bool:
        return path.lstat().st_uid == self.uid

    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        os.chown(path, self.uid, self.gid)


def engine_account() -> Account:
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LauncherError("PostgreSQL does not run as root and there is no account `nobody`.") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def let_pass(account: Account, path: Path) -> None:
    """Make sure that the account can walk to `path`: o+x, and only on folders of ours."""
    if not account.is_other:
        return
    for folder in (path.resolve(), *path.resolve().parents):
        facts = folder.stat()
        if not stat.S_ISDIR(facts.st_mode) or _may_pass(account, facts):
            continue
        if facts.st_uid != os.geteuid():
            raise LauncherError(
                f"{folder} is closed to the account that PostgreSQL runs as when started by root: "
                f"run as {owner_name(facts.st_uid)}, or move the project."
            )
        folder.chmod(stat.S_IMODE(facts.st_mode) | stat.S_IXOTH)


def _may_pass(account: Account, facts: os.stat_result) -> bool:
    if facts.st_uid == account.uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == account.gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)


def owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def spawn(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    output: IO[bytes] | int,
    cwd: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    feed: bytes = b"",
) -> subprocess.Popen[bytes]:
    """Start a child in its own process group, told by the kernel when we die.

    Call it from the main thread only: for the kernel the parent is the thread that forked.
    """
    other = account if account and account.is_other else None
    child = subprocess.Popen(  # noqa: S603 - our own programs, no shell
        args,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=other.uid if other else None,
        group=other.gid if other else None,
        extra_groups=[] if other else None,
        # Runs after the change of user, which would clear the kernel's note.
        preexec_fn=_die_with(os.getpid(), death_signal),  # noqa: PLW1509 - does two system calls only
    )
    if child.stdin:
        child.stdin.write(feed)
        child.stdin.close()
    return child


def die_with_parent(death_signal: signal.Signals) -> None:
    """Ask the kernel to tell us when the process that started us ends."""
    if sys.platform.startswith("linux"):
        LIBC.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    def in_the_child() -> None:
        die_with_parent(death_signal)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return in_the_child


def kill_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the child's whole process group, which is its own (start_new_session)."""
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return
