"""What the tests of `netdeadline guard` share: the guard, and programs that no preload reaches."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

import look
import programs
from faults import good
from look import until

HERE = pathlib.Path(__file__).parent
needs_go = pytest.mark.skipif(not shutil.which("go"), reason="there is no Go: scripts/setup ci installs it")


def build_once(tmp_path_factory, name, *command, directory="guard"):
    """A program that tests which run side by side share."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"{directory}-{name}"
    directory.mkdir(exist_ok=True)
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / name).exists():
            subprocess.run([*command, "-o", directory / "unfinished", *[HERE / f"{name}.{kind}" for kind in ["go", "c"] if (HERE / f"{name}.{kind}").exists()]],
                           check=True, capture_output=True, cwd=directory,
                           env={**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOCACHE": str(programs.BUILD / "go-cache")})
            (directory / "unfinished").rename(directory / name)
    return directory / name


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    return build_once(tmp_path_factory, "go_client", "go", "build")


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A static program, by its path."""
    return build_once(tmp_path_factory, "plain", "gcc", "-static")


def options(limits):
    return [word for name, value in limits.items() for word in (f"--{name.replace('_', '-')}", value)]


class Told(list):
    """What a guard has told, and its process ID."""


@contextlib.contextmanager
def guarding(*targets, before=(), **limits):
    """guard on these processes, from outside their network; gives what it has told so far as a list of dictionaries."""
    with open(os.devnull) as nothing:
        guard = subprocess.Popen([*before, look.COMMAND, "guard", "--log", "stderr", "--log-format", "json", *options(limits), *map(str, targets)],
                                 stdin=nothing, stderr=subprocess.PIPE, text=True)
    told = Told()
    told.pid = guard.pid
    try:
        until(lambda: handles(guard.pid, signal.SIGTERM))
        yield told
    finally:
        guard.terminate()
        told += [json.loads(line) for line in guard.communicate(timeout=10)[1].splitlines()]


def handles(pid, number):
    """Whether a process has a handler for a signal."""
    return any(line.startswith("SigCgt:") and int(line.split()[1], 16) >> (number - 1) & 1
               for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())


def keeps_alive(connection, stop):
    """Answers any number of requests on a connection."""
    while good.read_http_request(connection)[0]:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")


def connect(net, port, host="127.0.0.1"):
    with net.inside():
        connection = socket.create_connection((host, port))
    connection.settimeout(10)
    return connection
