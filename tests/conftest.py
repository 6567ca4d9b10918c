"""Fixtures of all tests: a private network each, servers that end with the test, and times to be reported."""

import contextlib
import fcntl
import os
import pathlib
import re
import subprocess
import time

import pytest

import programs
from namespace import NoNetwork, become_root, has_other_users
from network import Net

# scripts/test has installed everything: there nothing may be skipped because it is missing.
COMPLETE = bool(os.environ.get("TEST_COMPLETE"))

os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"  # not in every ordinary user's
become_root()

# One seed for all workers, which inherit it.
os.environ.setdefault("TEST_SEED", str(int(time.time())))


@pytest.fixture
def net(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Net(tmp_path, stack)


@pytest.fixture(autouse=True)
def libc(request, monkeypatch):
    """The libc of the programs of tests/integration/*.c that the test runs."""
    if name := getattr(request, "param", ""):
        monkeypatch.setattr(programs, "LIBC", name)
        programs.of_libc.clear()
    yield
    assert not name or programs.of_libc or not getattr(request.node, "has_passed", False), f"the test is marked {name}, and has run no program of it"


def pytest_generate_tests(metafunc):
    """Tests that are marked so are made a second time, where the programs were built for musl."""
    if metafunc.definition.get_closest_marker("musl") and (programs.BUILD / "tests/musl").is_dir():
        metafunc.parametrize("libc", ["", "musl"], ids=["glibc", "musl"], indirect=True)


@pytest.fixture
def other_users():
    """For tests that change owners or users."""
    if not has_other_users():
        pytest.skip("needs root: a user namespace has no other users")


@pytest.fixture(scope="session", autouse=True)
def built():
    """Without the library every test would be about nothing."""
    if not programs.LIBRARY.exists():
        pytest.exit(f"{programs.LIBRARY} is missing: run make", 2)


@pytest.fixture(scope="session")
def resolver_program(tmp_path_factory):
    """resolver_program(name, flag...): a driver of the resolver without the shim; tests that run side by side share it."""

    def build(name, *flags):
        base = tmp_path_factory.getbasetemp()
        directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"resolver-{name}"
        directory.mkdir(exist_ok=True)
        with open(directory / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            program = directory / name
            if not program.exists():
                multiarch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
                archive = os.environ.get("CARES_A", f"/usr/lib/{multiarch}/libcares.a")
                options = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", f"-I{programs.ROOT}", *flags]
                subprocess.run(["gcc", *options, *os.environ.get("CARES_CFLAGS", "").split(), "-o", directory / "unfinished",
                                programs.ROOT / f"tests/integration/resolver_driver/{name}.c",
                                *sorted((programs.ROOT / "resolver").glob("*.c")), *sorted((programs.ROOT / "base").glob("*.c")), archive, "-pthread", "-ldl", "-lresolv"], check=True)
                (directory / "unfinished").rename(program)
        return program

    return build


@pytest.fixture
def report_time(record_property):
    """report_time(name, seconds): listed at the end of the run."""
    return lambda name, seconds: record_property(f"time {name}", seconds)


def missing(error):
    """What an error says is missing on this host, or None."""
    if isinstance(error, NoNetwork):
        return "no private network can be made: neither root nor user namespaces"
    if isinstance(error, subprocess.CalledProcessError):  # a compiler that was run by the test
        text = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        found = re.search(r"fatal error: (\S+): No such file|cannot find (-l\S+)", text)
        return found and f"{found[1] or found[2]} is missing"
    if not isinstance(error, (FileNotFoundError, PermissionError)) or not error.filename:
        return None
    name = os.fsdecode(error.filename)
    if pathlib.Path(name).parent in (programs.BUILD / "tests", programs.BUILD / "tests/musl"):
        return f"{pathlib.Path(name).name}.c could not be built: headers are missing"
    return f"{name} is missing" if "/" not in name and not programs.which(name) else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test of what is not on this host is skipped, and says what that is."""
    report = (yield).get_result()
    item.has_passed = call.when == "call" and not call.excinfo
    if not call.excinfo or COMPLETE:
        return
    servers = item.funcargs["net"].opened if "net" in item.funcargs else []
    reasons = [missing(error) for error in (call.excinfo.value, *(getattr(server, "missing", None) for server in servers))]
    if reason := next(filter(None, reasons), None):
        report.outcome = "skipped"
        report.longrepr = (str(item.fspath), item.location[1], f"Skipped: {reason}")


def write_results(reporter, path):
    """One line for each test: outcome, name, and why it was skipped."""
    with open(path, "w") as file:
        for outcome in ["passed", "failed", "error", "skipped"]:
            for report in reporter.stats.get(outcome, []):
                reason = report.longrepr[2].removeprefix("Skipped: ") if outcome == "skipped" else ""
                name = report.nodeid.replace("\n", " ").replace("\t", " ")
                print(outcome.replace("error", "failed"), name, " ".join(reason.split()), sep="\t", file=file)


def pytest_terminal_summary(terminalreporter, config):
    if path := os.environ.get("TEST_RESULTS"):
        write_results(terminalreporter, path)
    asked = [value for report in terminalreporter.getreports("passed") for name, value in report.user_properties if name == "questions"]
    if asked:
        seed, (total, left, pinned) = asked[0][0], (sum(each[i] for each in asked) for i in (1, 2, 3))
        terminalreporter.write_line(f"differential test: seed {seed}, {total} questions, {left} left to libc, {pinned} pinned differences")
    rows = [(name.removeprefix("time "), value) for report in terminalreporter.getreports("passed")
            for name, value in report.user_properties if name.startswith("time ")]
    if rows and config.getoption("verbose") >= 0:
        terminalreporter.section("times")
        for name, value in sorted(rows):
            terminalreporter.write_line(f"{value:8.3f} s  {name}")
