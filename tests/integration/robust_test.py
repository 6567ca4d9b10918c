"""Bad input: a clear error or libc's own behaviour, and never a crash."""

import pytest

import programs
from calls import LIMIT, at, make
from faults import tcp

BAD_SETTINGS = {
    "RECV": ["3 seconds", "-1s", "1e9h", "", "s", "3", "1s2m", "0s", "99999999999999999999s", "9" * 5000 + "s", "1s\n", "\x1b[31m",
             "3S", " 3s", "0x3s", "1.5s"],
    "MODE": ["", "enforced", "OFF "],
    "LOG_FORMAT": ["xml"],
    "RESOLVE_ERROR": ["never", "FAIL", ""],
    "BACKTRACE": ["perhaps"],
    "MIN_RATE": ["fast"],
}


@pytest.mark.parametrize("name, value", [pytest.param(name, value, id=f"{name}-{ascii(value)[:20]}")
                                         for name, values in BAD_SETTINGS.items() for value in values])
def test_bad_value(net, name, value):
    """One line that names the variable; the program does what it would have done."""
    result = net.run(["echo", "done"], **{name: value})
    assert (result.status, result.out) == (0, b"done\n"), result
    text = result.err.decode()
    assert text.count("\n") == 1 and text.endswith("\n") and f"NETDEADLINE_{name}" in text, text
    assert len(text) < 400 and text.rstrip("\n").isprintable(), text


def test_bad_value_leaves_the_default(net):
    host = net.blackhole()
    result = net.run([programs.BUILD / "tests/call", "alarm:700:no", f"connect:{host}:80"], CONNECT="soon")
    assert b"connect -1 4 " in result.out, result


def test_unknown_variable(net):
    result = net.run(["echo", "done"], TIMEOUT="3s")
    assert result.out == b"done\n" and result.err.count(b"\n") == 1 and b"NETDEADLINE_TIMEOUT" in result.err, result


def test_many_bad_values(net):
    """At most one line, however much is wrong."""
    result = net.run(["echo", "done"], RECV="x", SEND="y", NONSENSE="z", CONNECT="-1s")
    assert result.out == b"done\n" and result.err.count(b"\n") == 1, result


def test_good_settings_are_silent(net):
    result = net.run(["echo", "done"], RECV="1m30s", SEND="250ms", CONNECT="off", MODE="enforce", LOG="stderr", BACKTRACE="1")
    assert (result.out, result.err) == (b"done\n", b""), result


@pytest.mark.parametrize("log", ["/nonexistent/log", "/proc/self/mem", "/", "relative", "/dev/full", "x" * 5000, "stdout"],
                         ids=lambda log: log[:20])
def test_log_that_cannot_be_written(net, log):
    """The deadline works all the same, and what the program says is undisturbed but for one line."""
    server = net.serve(tcp.silent)
    result = net.run([programs.BUILD / "tests/call", at(server), "recv"], RECV=f"{LIMIT}ms", LOG=log, cwd=net.directory)
    assert b"recv -1 110 " in result.out and result.err.count(b"\n") <= 1, result


def test_standard_error_closed(net):
    result = net.run(["sh", "-c", f"exec {programs.BUILD}/tests/call {at(net.serve(tcp.silent))} recv 2>&-"],
                     RECV=f"{LIMIT}ms", LOG="stderr", NONSENSE="1")
    assert b"recv -1 110 " in result.out, result


GARBAGE = {
    "binary": bytes(range(256)) * 40,
    "keywords": b"nameserver\nnameserver x\nsearch\noptions\noptions timeout:-5 attempts:999999999999 ndots:x ndots:99\nfoo bar\n",
    "long line": b"nameserver " + b"1" * 1_000_000 + b"\n",
    "no newline": b"nameserver 127.0.0.1",
    "many servers": b"".join(b"nameserver 127.0.%d.1\n" % (i % 250) for i in range(20_000)),
    "empty": b"",
    "zeros": bytes(100_000),
    "search": b"search " + b" ".join(b"d%d.test" % i for i in range(5000)) + b"\nnameserver 127.0.0.1\n",
}


@pytest.mark.parametrize("file", ["resolv.conf", "hosts", "nsswitch.conf"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage(net, file, garbage):
    """Names in files are found or not; nothing crashes and nothing takes longer than the limit."""
    (net.directory / file).write_bytes(GARBAGE[garbage])
    result = net.run(["getent", "ahosts", "nothing.test"], RESOLVE="1s")
    assert result.status in (0, 2) and result.elapsed < 5, result


@pytest.mark.parametrize("file", ["resolv.conf", "hosts", "nsswitch.conf"])
def test_directory_for_a_file(net, file, tmp_path):
    net.do("umount", f"/etc/{file}")
    net.do("mount", "-t", "tmpfs", "none", "/etc")
    net.do("mkdir", f"/etc/{file}")
    result = net.run(["getent", "ahosts", "nothing.test"], RESOLVE="1s")
    assert result.status == 2, result


def test_hosts_of_many_lines(net):
    net.etc("hosts", "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} host{i}.test\n" for i in range(100_000)))
    result = net.run(["getent", "ahosts", "host99999.test"])
    assert b"10.1.134.159" in result.out and result.elapsed < 3, result


def test_hosts_of_one_long_line(net):
    net.etc("hosts", "10.0.0.1 " + " ".join(f"host{i}.test" for i in range(70_000)) + "\n10.0.0.2 after.test\n")
    for name, address in [("host69999.test", b"10.0.0.1"), ("after.test", b"10.0.0.2")]:
        assert address in net.run(["getent", "ahosts", name]).out


@pytest.mark.parametrize("name", ["a" * 300, ".".join(["a" * 60] * 5), "a" * 64 + ".test", "a..test", ".", "..", " ", "-", "a" * 100_000],
                         ids=lambda name: name[:20])
def test_names_no_server_has(net, name):
    net.names({})
    without, under = (net.run(["getent", "ahosts", name], library=library) for library in (False, True))
    assert (under.status, under.out, under.err) == (without.status, without.out, without.err)


@pytest.mark.parametrize("limits", [{}, dict.fromkeys(["RESOLVE", "CONNECT", "RECV", "SEND"], "1s")], ids=["defaults", "limits"])
def test_nulls(net, limits):
    if programs.RUNTIME:
        pytest.skip("the sanitizer itself reads what the pointers point to")
    net.names({})
    without, under = (net.run([programs.BUILD / "tests/nulls"], library=library, **limits) for library in (False, True))
    assert without.status == 0
    assert under.out.decode().splitlines() == without.out.decode().splitlines() and under.status == 0


def test_loaded_twice(net, tmp_path):
    """Through LD_PRELOAD twice, by two names: the second copy only passes through."""
    copy = tmp_path / "copy.so"
    copy.write_bytes(programs.LIBRARY.read_bytes())
    preload = {"LD_PRELOAD": f"{programs.RUNTIME} {programs.LIBRARY} {copy}".strip()}
    silent, alive = net.serve(tcp.silent), net.serve(tcp.greeting(b"hello"))
    calls = make(net, at(alive), "recv", at(silent), "recv", "recv", variables=preload, RECV=f"{LIMIT}ms")
    assert calls[1].more == "hello"
    calls[3].expect_expired()
    calls[4].expect_refused_at_once()


@pytest.mark.musl
@pytest.mark.parametrize("steps", [["recv"], ["fill", "send"], ["poll:in"]])
def test_mode_off_passes_everything_through(net, steps):
    server = net.serve(tcp.silent, receive_buffer=2048)
    calls = make(net, at(server), *steps[:-1], "alarm:800:no", steps[-1], MODE="off", RECV="200ms", SEND="200ms")
    assert calls[-1].errno == "EINTR" and calls[-1].ms >= 700, calls


@pytest.mark.musl
@pytest.mark.parametrize("steps", [["recv"], ["fill", "send"], ["poll:in"]])
def test_observe_mode_ends_nothing(net, steps):
    server = net.serve(tcp.silent, receive_buffer=2048)
    calls = make(net, at(server), *steps[:-1], "alarm:800:no", steps[-1], MODE="observe", RECV="200ms", SEND="200ms")
    assert calls[-1].errno == "EINTR" and calls[-1].ms >= 700, calls
