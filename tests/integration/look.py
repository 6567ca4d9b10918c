"""Runs the netdeadline command on processes of the test, and reads its tables."""

import json
import os
import pathlib
import subprocess
import time

import programs

COMMAND = programs.BUILD / "netdeadline"


def netdeadline(*arguments, status=0, **options):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NETDEADLINE_", "LD_PRELOAD"))}
    result = subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, timeout=30, env={**env, "LC_ALL": "C"},
                            stdin=subprocess.DEVNULL, **options)
    assert status is None or result.returncode == status, result
    return result


def table(text):
    """The rows of a table as dictionaries."""
    heading, *rows = [line for line in text.splitlines() if not line.startswith("        ")]
    names = heading.split()
    return [dict(zip(names, row.split(None, len(names) - 1))) for row in rows]


def ps(*arguments):
    return table(netdeadline("ps", *arguments).stdout.decode())


def stats(*pids):
    """The counters by process ID and operation."""
    processes = json.loads(netdeadline("stats", "--json", *pids, status=None).stdout)["processes"]
    return {process["pid"]: {row["operation"]: row for row in process["operations"]} for process in processes}


def pid_of(program):
    """The process that nsenter and env have become, seen from outside: the program was executed, not forked."""
    return program.process.pid


def until(condition, patience=10):
    """Asks again until it is true; gives what it was."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


def waiting(program, call, **more):
    """The row of ps for a call of the program, as soon as it is there."""
    def look():
        rows = [row for row in ps(pid_of(program)) if row["CALL"] == call and all(row[name] == value for name, value in more.items())]
        return rows[0] if rows else None
    row = until(look)
    assert row, netdeadline("ps", pid_of(program), status=None)
    return row


def library_of(pid):
    return [line for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines() if "libnetdeadline" in line]
