"""python -m connector.launcher.guard COMMAND...: run a command, and pass the request to stop on to it once.

For granian. The kernel tells of a parent's death once for each of the parent's threads, and granian's handler of
SIGTERM locks itself when a second one comes while it is at work on the first: it never ended then.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from connector.launcher.children import kill_group, spawn

PATIENCE_SECONDS = 8


def main(words: list[str]) -> int:
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.append(number))
    child = spawn(words, env=os.environ, output=sys.stdout.fileno(), cwd=Path.cwd())
    while not stopped:
        try:
            return child.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    return end(child)


def end(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    try:
        return child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return 1
    finally:
        kill_group(child, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
