"""Watches programs: their output goes to files, what ends is started again, and all of it stops together."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from connector.launcher.children import kill_group

ONE_REQUEST_SECONDS = 1.0
RESTART_WAITS = (1, 2, 4, 8, 10)
HEALTHY_SECONDS = 30  # who ran this long starts again from the first wait
TICK_SECONDS = 0.2
PROGRAMS_STOP_SECONDS = 12
ENGINES_STOP_SECONDS = 6  # both together stay below the 20 s that stopping may take
LOG_BYTES = 20 * 1024 * 1024
IMPORTANT = ("warning", "error", "critical")


class Stopped(BaseException):
    """A person or the system asked us to stop."""


def say(name: str, text: str) -> None:
    print(f"{name:<9} {text}", flush=True)  # noqa: T201 - the launcher talks to a person


@dataclass
class Program:
    """How to start one program, and its place in the order of stopping: engines go last."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    is_engine: bool = False


@dataclass
class Watched:
    program: Program
    child: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    restarts: int = 0
    start_at: float = 0.0


@dataclass
class Watch:
    """All programs of this launcher. Main thread only: children die with the thread that made them."""

    watched: list[Watched] = field(default_factory=list)
    hurry: bool = False
    stop_asked_at: float | None = None

    def start(self, program: Program, child: subprocess.Popen[bytes] | None = None) -> Watched:
        """Start the program and watch it; `child` is one that runs already."""
        one = Watched(program)
        self.watched.append(one)
        self._start(one, child)
        return one

    def listen_for_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def run(self) -> None:
        """Start again whatever ends, until Stopped."""
        while True:
            self.look()
            time.sleep(TICK_SECONDS)

    def look(self) -> None:
        """Start again what has ended, once."""
        # Stopped came where Python could only ignore it: in a fork's callbacks
        if self.stop_asked_at is not None:
            raise Stopped
        for one in self.watched:
            if one.child is not None and has_ended(one.child):
                self._bury(one, one.child)
            if one.child is None and time.monotonic() >= one.start_at:
                self._start(one)

    def stop(self) -> None:
        """Ask, wait, kill. A second signal meanwhile kills at once."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._hurry_up)
        engines = [one for one in self.watched if one.program.is_engine]
        programs = [one for one in self.watched if not one.program.is_engine]
        self._stop(programs, PROGRAMS_STOP_SECONDS)
        self._stop(engines, ENGINES_STOP_SECONDS)

    def _start(self, one: Watched, child: subprocess.Popen[bytes] | None = None) -> None:
        one.child = child or one.program.start()
        one.began = time.monotonic()
        if one.child.stdout is not None:
            threading.Thread(target=_record, args=[one.program, one.child.stdout], daemon=True).start()

    def _bury(self, one: Watched, child: subprocess.Popen[bytes]) -> None:
        kill_group(child, signal.SIGKILL)  # before its id is given back: then it can be nobody else's
        code = child.wait()
        one.child = None
        if time.monotonic() - one.began > HEALTHY_SECONDS:
            one.restarts = 0
        wait = RESTART_WAITS[min(one.restarts, len(RESTART_WAITS) - 1)]
        one.restarts += 1
        one.start_at = time.monotonic() + wait
        say(
            one.program.name,
            f"ended ({_reason(code)}), starts again in {wait} s; {last_words(one.program.log)}",
        )

    def _stop(self, group: list[Watched], seconds: float) -> None:
        children = [(one, one.child) for one in group if one.child is not None]
        for one, child in children:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(one.program.stop_signal)
        until = time.monotonic() + seconds
        while (
            any(not has_ended(child) for _, child in children) and time.monotonic() < until and not self.hurry
        ):
            time.sleep(0.05)
        for one, child in children:
            kill_group(child, signal.SIGKILL)
            child.wait()
            one.child = None

    def _ask_to_stop(self, number: int, frame: object) -> None:
        if self.stop_asked_at is None:
            self.stop_asked_at = time.monotonic()
            raise Stopped

    def _hurry_up(self, number: int, frame: object) -> None:
        """One request may come as two signals: from whoever ends our group, and for our parent's end."""
        asked_at = self.stop_asked_at
        self.hurry = asked_at is None or time.monotonic() - asked_at > ONE_REQUEST_SECONDS


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended; its id stays taken until somebody waits for it."""
    if child.returncode is not None:
        return True
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def last_words(log: Path) -> str:
    """The last line that a program wrote, and where to read more."""
    with contextlib.suppress(OSError):
        with log.open("rb") as lines:
            lines.seek(max(0, log.stat().st_size - 8192))
            said = [line for line in lines.read().decode(errors="replace").splitlines() if line.strip()]
        if said:
            return f"its last line: {_readable(said[-1])[:300]} ({log})"
    return f"it said nothing ({log})"


def _record(program: Program, output: IO[bytes]) -> None:
    """Copy the output into the log, kept below a size, and show the lines that a person should see."""
    log = program.log.open("ab")
    for line in output:
        if log.tell() > LOG_BYTES:
            log.close()
            program.log.replace(program.log.with_suffix(".log.1"))
            log = program.log.open("ab")
        log.write(line)
        log.flush()
        text = line.decode(errors="replace")
        if _is_important(text):
            say(program.name, _readable(text)[:300])
    log.close()
    output.close()


def _is_important(line: str) -> bool:
    entry = _entry(line)
    return entry is not None and entry.get("level") in IMPORTANT


def _readable(line: str) -> str:
    entry = _entry(line)
    if entry is None:
        return line.strip()
    shown = {
        key: value for key, value in entry.items() if key not in ("event", "level", "timestamp", "exception")
    }
    return " ".join(
        [str(entry.get("level", "")), str(entry.get("event", "")), *(f"{k}={v}" for k, v in shown.items())]
    )


def _entry(line: str) -> dict[str, object] | None:
    if not line.startswith("{"):
        return None
    with contextlib.suppress(ValueError):
        entry = json.loads(line)
        return entry if isinstance(entry, dict) else None
    return None


def _reason(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def raise_stopped(number: int, frame: object) -> None:
    raise Stopped
