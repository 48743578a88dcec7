"""Starts and watches everything on one machine: engines, sandboxes, web, worker, clock.

`python -m connector.launcher run | up | test-engines COMMAND`. It makes the environment of its children, so
it is the one room beside settings.py that reads the environment, and it never loads Django.
"""
