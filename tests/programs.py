"""Runs programs with and without the library, and says how they ended."""

import contextlib
import dataclasses
import errno
import os
import pathlib
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("TEST_BUILD", ROOT / "build")).resolve()
LIBRARY = BUILD / "libnetdeadline.so"
# Whether it is an installed library and command that are tested; $BUILD has links to them then.
INSTALLED = bool(os.environ.get("TEST_INSTALLED", ""))
# A sanitizer's runtime has to be loaded before the library that was built with it.
RUNTIME = os.environ.get("TEST_SANITIZER_RUNTIME", "")
PYTHON = "/usr/bin/python3"

# The libc whose builds of the test programs are run in place of the host's: "" or "musl"; and those that were.
LIBC = os.environ.get("TEST_LIBC", "")
of_libc = set()

# What is waited for a program that should have ended, before it is cut.
PATIENCE = 20.0


def which(name):
    """Where a program is, also one for administrators, which an ordinary user's PATH leaves out."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin")


def need(name):
    """Where a program is. One that is not there raises what starting it raises: such a test is skipped (conftest.py)."""
    if not (path := which(str(name))):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(name))
    return path


@dataclasses.dataclass
class Result:
    status: int  # negative: the signal that ended it
    out: bytes
    err: bytes
    elapsed: float
    cut: bool  # it had not ended by itself

    @property
    def text(self):
        return (self.out + self.err).decode(errors="replace")


def environment(library=True, **limits):
    """The variables of a run: NETDEADLINE_X for each limit X, and the library unless there is to be none."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("NETDEADLINE_")}
    variables.update(LC_ALL="C.UTF-8", PYTHONDONTWRITEBYTECODE="1")
    if library:
        variables["LD_PRELOAD"] = f"{RUNTIME} {LIBRARY}".strip()
    variables.update({f"NETDEADLINE_{name}": value for name, value in limits.items()})
    return variables


def child(body, *arguments):
    """The command line of a Python program of a test's own, which has the names of tests/integration/client.py."""
    return [PYTHON, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'tests/integration')!r}); from client import *\n{body}", *arguments]


def in_libc(argument):
    """The build of a test program that is to be run, where that is one."""
    if not (LIBC and isinstance(argument, pathlib.Path) and argument.parent == BUILD / "tests"):
        return argument
    of_libc.add(argument.name)
    return argument.parent / LIBC / argument.name


class Program:
    """A program that was started; finish() waits for its end."""

    def __init__(self, argv, namespace=None, variables=None, stdin=subprocess.DEVNULL, cwd=None):
        argv = [str(in_libc(argument)) for argument in argv]
        if namespace:
            # Only the program itself is to see the preload, not nsenter; and entering a namespace changes the directory.
            variables = variables or environment()
            need(argv[0])
            preload = [f"LD_PRELOAD={variables['LD_PRELOAD']}"] if "LD_PRELOAD" in variables else []
            variables = {name: value for name, value in variables.items() if name != "LD_PRELOAD"}
            directory = ["-C", str(cwd)] if cwd else []
            argv = namespace.command(["env", *directory, *preload, *argv] if preload or directory else argv)
        self.started = time.monotonic()
        self.process = subprocess.Popen(argv, env=variables, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        cwd=cwd, start_new_session=True, bufsize=0)

    @property
    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def finish(self, patience=PATIENCE, input=None):
        cut = False
        try:
            out, err = self.process.communicate(input, timeout=patience)
        except subprocess.TimeoutExpired:
            cut = True
            self.kill()
            out, err = self._rest()
        elapsed = time.monotonic() - self.started
        self.kill()
        return Result(self.process.returncode, out, err, elapsed, cut)

    def _rest(self):
        """What it wrote. A child of its own that has left the group may hold its output open."""
        try:
            return self.process.communicate(timeout=5)
        except subprocess.TimeoutExpired as late:
            return late.stdout or b"", late.stderr or b""

    def kill(self):
        """Ends it with its children, which share the process group made for it."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)


def run(argv, namespace=None, library=True, variables=None, patience=PATIENCE, stdin=subprocess.DEVNULL, cwd=None, **limits):
    """Runs `argv` to its end, with limits given as RECV="1s"; `variables` are further environment variables."""
    env = environment(library, **limits)
    env.update(variables or {})
    return Program(argv, namespace, env, stdin, cwd).finish(patience)
