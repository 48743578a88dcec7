"""python -m connector.launcher run | up | manage WORDS... | chromium | audit | test-engines COMMAND..."""

import argparse
import os
import signal
import subprocess
import sys

from connector.launcher import audit, chromium
from connector.launcher.children import LauncherError, die_with_parent
from connector.launcher.engines import throwaway_engines
from connector.launcher.environment import environment_for_tests
from connector.launcher.processes import Stopped, raise_stopped
from connector.launcher.stack import manage_up, run, up

COMMANDS = {"run": run, "up": up, "chromium": chromium.ensure, "audit": audit.check}


def main() -> int:
    asked = arguments().parse_args()
    if asked.end_with_parent:
        die_with_parent(signal.SIGTERM)
    try:
        if asked.command == "test-engines":
            return with_test_engines(asked.words)
        if asked.command == "manage":
            return manage_up(asked.words)
        COMMANDS[asked.command]()
        return 0
    except LauncherError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one line that says what to put right
        return 1


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m connector.launcher", description=__doc__)
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the process that started us ends"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="everything with both sandboxes and a demo shop")
    commands.add_parser("up", help="everything on the settings of the environment and .env")
    managed = commands.add_parser(
        "manage", help="a manage.py command beside a running `up`, in its environment"
    )
    managed.add_argument("words", nargs=argparse.REMAINDER, metavar="WORDS")
    commands.add_parser("chromium", help="install the browser of the browser tests where it is missing")
    commands.add_parser("audit", help="look the packages up among known vulnerabilities")
    engines = commands.add_parser("test-engines", help="run a command with a throwaway PostgreSQL and Valkey")
    engines.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def with_test_engines(words: list[str]) -> int:
    """Run the command with engines and an environment that settings.py accepts; they end with it."""
    if "TEST_ENGINES" in os.environ:
        return subprocess.call(words)  # noqa: S603 - the caller's own command, with the engines that run already
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_stopped)
    with throwaway_engines() as engines:
        env = os.environ | environment_for_tests(*engines) | {"TEST_ENGINES": "1"}
        command = subprocess.Popen(words, env=env)  # noqa: S603 - the caller's own command, in our process group
        try:
            return command.wait()
        except (Stopped, KeyboardInterrupt):
            command.terminate()
            command.wait()
            return 130


if __name__ == "__main__":
    sys.exit(main())
