"""`netdeadline guard`, `end` and `run` on what no preload reaches: each fault ends, each living twin lives."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

import look
import programs
from faults import good, tcp, tls
from guards import client, connect, guarding, handles, keeps_alive, needs_go, options, plain  # noqa: F401: fixtures among them
from look import netdeadline, pid_of, ps, stats, until

LIMITS = {"recv": "1s", "send": "1s", "connect": "1s", "unacked": "3s"}


def over(program, limit, slack=0.5):
    """Waits for the end of a program that a limit of so many seconds should have ended; gives what it wrote."""
    result = program.finish(10)
    took, *text = result.out.decode().splitlines()[-1].split(" ", 1)
    assert not result.cut and result.status == 1, result
    assert limit - 0.1 <= int(took) / 1000 <= limit + slack, result
    return " ".join(text)


def under(net, how, client, *arguments, **limits):
    """Starts the Go client under `run`, or under a guard that is started after it: a context of the program."""
    @contextlib.contextmanager
    def run():
        yield net.start([look.COMMAND, "run", *options(limits), client, *arguments], library=False)

    @contextlib.contextmanager
    def guard():
        program = net.start([client, *arguments], library=False)
        with guarding(pid_of(program), **limits):
            yield program
    return {"run": run, "guard": guard}[how]()


both = pytest.mark.parametrize("how", ["run", "guard"])


# Servers that hang a Go client, and what the client does.
FAULTS = {"an answer that never comes": ("get", tcp.silent), "a greeting that never comes": ("read", tcp.silent),
          "a handshake that is not answered": ("gets", tcp.silent), "a reader that stops": ("write", None)}


@needs_go
@both
@pytest.mark.parametrize("what, behaviour", FAULTS.values(), ids=FAULTS)
def test_faults(net, client, how, what, behaviour):
    server = net.serve(behaviour) if behaviour else net.open(tcp.never_reads)
    with under(net, how, client, what, f"127.0.0.1:{server.port}", **LIMITS) as program:
        text = over(program, 1, slack=0.75 if what == "write" else 0.5)
    assert "reset" in text and "EOF" not in text, text


@needs_go
@both
def test_connect(net, client, how):
    with under(net, how, client, "get", f"{net.blackhole()}:80", **LIMITS) as program:
        assert "connect: " in over(program, 1)


@needs_go
@both
@pytest.mark.parametrize("what", ["write", "close"])
def test_a_write_into_a_dead_connection(net, client, how, what):
    """The peer's host is gone, and the buffer is full: SEND is off, UNACKED says so."""
    server = net.serve(tcp.draining)
    net.do("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 65536")
    with under(net, how, client, what, f"127.0.0.1:{server.port}", unacked="2s") as program:
        until(lambda: server.accepted)
        net.drop(f"tcp dport {server.port}")
        result = program.finish(10)
    if b"50000000 bytes <nil>" in result.out:
        pytest.skip("it was faster than the fault")
    assert not result.cut and result.status == 1 and 1.8 <= result.elapsed < 4, result


# Servers that look as if they hung, and what their client then says.
TWINS = {"a late answer": ("get", tcp.after(0.7, good.http()), "6 bytes"),
         "a late greeting": ("read", tcp.after(0.7, tcp.greeting(b"hello")), "5 bytes"),
         "drops": ("get", tcp.drip(b"abcdefg", 0.5, b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"), "7 bytes"),
         "a late handshake": ("gets", tcp.after(0.7, tls.over_tls(good.http())), "6 bytes"),
         "a reader that pauses": ("write", tcp.pausing(0.7, tcp.draining), "1000000 bytes")}


@needs_go
@both
@pytest.mark.parametrize("what, behaviour, text", TWINS.values(), ids=TWINS)
def test_twins(net, client, how, what, behaviour, text):
    tls.server_context()  # it takes its time to be made
    server = net.serve(behaviour)
    with under(net, how, client, what, f"127.0.0.1:{server.port}", "1000000", **LIMITS) as program:
        result = program.finish(20)
    assert result.status == 0 and f" {text} <nil>" in result.out.decode(), result


@needs_go
@both
def test_an_idle_connection_of_a_pool_stays(net, client, how):
    server = net.serve(keeps_alive)
    with under(net, how, client, "twice", f"127.0.0.1:{server.port}", "2s", **LIMITS) as program:
        result = program.finish(20)
    assert result.status == 0 and server.accepted == 1, result


@needs_go
@both
def test_a_pool_gets_over_a_host_that_vanished(net, client, how):
    """Its requests would go into the dead connection for a quarter of an hour."""
    server = net.serve(keeps_alive)
    with under(net, how, client, "until", f"127.0.0.1:{server.port}", "200ms", **LIMITS) as program:
        until(lambda: server.accepted)
        net.drop(f"tcp dport {server.port}")
        began, lines = time.monotonic(), [""]
        while "reset" not in lines[-1] and time.monotonic() < began + 10:
            lines.append(program.process.stdout.readline().decode())
        assert time.monotonic() - began < 3.5, lines  # Go tries a request again on a new connection, for which CONNECT holds
        net.undrop()
        result = program.finish(10)
    assert result.status == 0 and server.accepted >= 2, result


@needs_go
@both
def test_a_server(net, client, how):
    """A client that asks nothing is ended, one that waits for a slow handler is not."""
    with under(net, how, client, "serve", "127.0.0.1:0", "2500ms", inbound_recv="1s") as program:
        port = int(program.process.stdout.readline())
        silent, asking = connect(net, port), connect(net, port)
        asking.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            silent.recv(100)
        assert 0.9 <= time.monotonic() - began <= 1.5
        assert asking.recv(100).startswith(b"HTTP/1.1 200 OK")


# How `run` comes to a static program, and whether that ends before the guard does.
WAYS = {"at once": [], "by a wrapper": ["env"], "by a shell": ["sh", "-c", 'exec "$@"', "sh"]}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_run_leaves_the_program_alone(net, plain, way):
    """Its process ID, descriptors, children and status are its own; the guard ends with it."""
    program = net.start([look.COMMAND, "run", "--recv", "1s", *way, plain, "self"], library=False)
    result = program.finish()
    pid = program.process.pid
    assert result.status == 7 and not result.err, result
    assert [line.strip() for line in result.out.decode().splitlines()] == [f"{pid} {os.getpid()}", "0 1 2", ""], result
    assert until(lambda: not [name for name in os.listdir("/proc") if name.isdigit() and is_guard_of_run(name, pid)])


def is_guard_of_run(pid, target):
    """Whether a process is netdeadline and holds a descriptor of the process."""
    with contextlib.suppress(OSError):
        if pathlib.Path(f"/proc/{pid}/comm").read_text() == "netdeadline\n":
            return any(f"Pid:\t{target}\n" in pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text() for fd in os.listdir(f"/proc/{pid}/fd"))
    return False


# What `run` is given to come to a static program.
COMMANDS = {"a static program": ["{}"], "executed by it": ["{plain}", "execute", "{}"], "executed by a wrapper": ["env", "{}"],
            "a child of a shell": ["sh", "-c", '"$@"; exit $?', "sh", "{}"], "a grandchild": ["sh", "-c", '(env "$@"); exit $?', "sh", "{}"]}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_static_program(net, plain, command):
    """The library bounds a wrapper, and what it executes is guarded."""
    server = net.serve(tcp.silent)
    words = [part for word in command for part in ([plain, "ask", server.port] if word == "{}" else [word.format(plain=plain)])]
    result = net.run([look.COMMAND, "run", "--recv", "1s", "--log", "stderr", *words], library=False)
    assert result.status == 1 and 0.9 <= result.elapsed < 2.6 and b"imed out" not in result.out, result
    assert result.err.decode().count("operation=recv") == 1, result


def test_what_the_library_bounds_in_a_wrapper_is_left_to_it(net):
    server = net.serve(tcp.silent)
    code = f"import socket\ns = socket.create_connection(('127.0.0.1', {server.port}))\ntry: s.recv(1)\nexcept OSError as e: print(e.errno)"
    result = net.run([look.COMMAND, "run", "--recv", "1s", "--log", "stderr", "sh", "-c", '"$@"; exit $?', "sh", programs.PYTHON, "-c", code], library=False)
    assert result.out == b"110\n" and result.err.count(b"limit=RECV") == 1, result


STALLS = "s = dial(); s.sendall(b'hello'); got = s.recv(100)\ntry: got = s.recv(100)\nexcept OSError as e: got = e.errno\nprint(time.monotonic(), got)"


def test_a_call_that_waits_is_seen(net):
    """The last byte came in, as on an idle connection; but a thread is blocked in recv."""
    server = net.serve(tcp.part())
    program = net.start(programs.child(STALLS, server.port), library=False)
    with guarding(pid_of(program), recv="1s"):
        result = program.finish(10)
    assert not result.cut and b" b''" not in result.out and 0.9 < result.elapsed < 4, result


# How a program waits that has connected, and asked nothing, while no greeting comes. It ends one that waits for it, and no other.
UNTOUCHED = {"thinks": ("time.sleep(2.5); s.sendall(b'x'); got = s.recv(5)", False), "select": ("select.select([s, r], [], [], 5); got = error(s.recv, 5)", True),
             "epoll": ("epoll_in(s, r, timeout=5); got = error(s.recv, 5)", True), "another": ("epoll_in(r, timeout=2.5); s.sendall(b'x'); got = s.recv(5)", False)}


@pytest.mark.parametrize("code, is_ended", UNTOUCHED.values(), ids=UNTOUCHED)
def test_an_untouched_connection(net, code, is_ended):
    server = net.serve(tcp.part(b"hello"))
    program = net.start(programs.child(f"r, w = os.pipe(); s = dial()\n{code}\nprint(got)", server.port), library=False)
    with guarding(pid_of(program), recv="1s") as told:
        result = program.finish(10)
    assert (b"hello" in result.out) != is_ended and result.elapsed < 4 and [row["limit"] for row in told] == ["RECV"] * is_ended, (result, told)


def test_observe_ends_nothing(net):
    server = net.serve(tcp.after(2, tcp.greeting(b"hello")))
    program = net.start(programs.child("print(dial().recv(100))", server.port), library=False)
    with guarding(pid_of(program), recv="1s", mode="observe") as told:
        result = program.finish(10)
    assert result.out == b"b'hello'\n", result
    assert [(row["limit"], row["observed"], row["pid"], row["peer"]) for row in told] == \
        [("RECV", True, pid_of(program), f"127.0.0.1:{server.port}")], told


def test_the_config_file(net, tmp_path):
    """Sections for programs and addresses; SIGHUP reads it again."""
    quick, slow = net.serve(tcp.silent), net.serve(tcp.silent)
    config = tmp_path / "config"
    config.write_text(f"[program python3* destination 127.0.0.1:{quick.port}]\nRECV=1s\n[program other]\nRECV=1s\n")
    code = "s = dial(sys.argv[1]), dial(sys.argv[2])\nfor c in s:\n try: c.recv(1)\n except OSError: print(time.monotonic(), flush=True)"
    program = net.start(programs.child(code, quick.port, slow.port), library=False)
    with guarding(pid_of(program), config=config) as told:
        assert program.process.stdout.readline()
        time.sleep(1.5)
        assert program.running
        config.write_text("RECV=1s\n")
        os.kill(told.pid, signal.SIGHUP)
        assert program.process.stdout.readline()
    assert [row["peer"] for row in told] == [f"127.0.0.1:{server.port}" for server in (quick, slow)], told


def test_set_and_stats_work_on_it(net):
    """A limit that is set holds for connections that stand; SIGHUP forgets it."""
    server = net.serve(tcp.silent)
    first, last = [net.start(programs.child("try: print(dial().recv(1))\nexcept OSError as e: print(e.errno)", server.port), library=False) for i in range(2)]
    with guarding(pid_of(first), pid_of(last)) as told:
        def in_force(name):
            return dict(line.split("=", 1) for line in netdeadline("set", told.pid).stdout.decode().splitlines())[name]
        assert in_force("RECV") == "off" and not stats(told.pid)[told.pid]
        netdeadline("set", told.pid, "RECV=1s", "MODE=observe")
        assert until(lambda: stats(told.pid)[told.pid].get("recv", {}).get("observed") == 2)
        assert first.running and last.running
        os.kill(told.pid, signal.SIGHUP)
        assert until(lambda: in_force("RECV") == "off" and in_force("MODE") == "enforce")
        netdeadline("set", told.pid, "CONNECT=7s")
        assert until(lambda: in_force("CONNECT") == "7s") and in_force("MODE") == "enforce"
        netdeadline("set", told.pid, "RECV=1s")
        first.finish(10), last.finish(10)
    assert [row["observed"] for row in told] == [True, True, False, False], told


@pytest.mark.parametrize("how", ["an option", "the environment"])
def test_prometheus(net, tmp_path, how):
    """What it has ended is counted by the section of the config file, wherever that was named."""
    server = net.serve(tcp.silent)
    (tmp_path / "config").write_text(f"IDLE=1h\n[destination 127.0.0.1:{server.port}]\nRECV=500ms\n")
    program = net.start(programs.child("try: dial().recv(1)\nexcept OSError: pass\ntime.sleep(30)", server.port), library=False)
    named = {"config": tmp_path / "config"} if how == "an option" else {"before": ["env", f"NETDEADLINE_CONFIG={tmp_path}/config"]}
    with guarding(pid_of(program), **named):
        samples = [re.compile(r'netdeadline_expiries_total\{program="netdeadline",[^}]*operation="recv"\} [1-9]'),
                   re.compile(rf'netdeadline_limit_expiries_total\{{[^}}]*limit="RECV",section="\[destination 127.0.0.1:{server.port}\]"[^}}]*\}} [1-9]')]
        assert until(lambda: all(sample.search(netdeadline("stats", "--prometheus").stdout.decode()) for sample in samples)), \
            netdeadline("stats", "--prometheus").stdout


def test_keepalive(net):
    """The options are put on connections whose program has none; and on no others."""
    server = net.serve(tcp.silent)
    code = """
a, b = dial(), dial()
b.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
time.sleep(2)
print(json.dumps([[s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)] for s in (a, b)]))"""
    program = net.start(programs.child(code, server.port), library=False)
    with guarding(pid_of(program), keepalive="5s"):
        assert json.loads(program.finish().out) == [[1, 5], [1, 7200]]


def keepalive_timers(pid):
    """Of the process's connections, in ticks of 10 ms until the next probe."""
    lines = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return [int(when, 16) for kind, when in (line.split()[5].split(":") for line in lines) if kind == "02"]


def test_keepalive_counts_the_silence_before(net):
    server = net.serve(tcp.silent)
    program = net.start(programs.child("s = dial()\ntime.sleep(1.2)\nprint('silent', flush=True)\ntime.sleep(30)", server.port), library=False)
    program.process.stdout.readline()
    with guarding(pid_of(program), keepalive="5s"):
        [left] = until(lambda: keepalive_timers(pid_of(program)))
    assert left <= 385, left


def test_descendants(net):
    """More of them than it may have descriptors, until it asks for more."""
    server = net.serve(tcp.silent)
    code = """
for i in range(20):
    if os.fork() == 0:
        time.sleep(0.5)
        try: dial().recv(1)
        except OSError as e: os.write(1, b'%d\\n' % e.errno)
        os._exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break"""
    program = net.start(programs.child(code, server.port), library=False)
    with guarding(pid_of(program), recv="1s", before=["prlimit", "--nofile=16:1024"]):
        result = program.finish(10)
    assert len(result.out.split()) == 20 and result.elapsed < 6, result


def test_a_descendant_that_connects_at_once(net):
    """Wherever between two looks at processes and at connections it comes, it is found soon."""
    server = net.serve(tcp.silent)
    code = "sys.stdin.readline(); time.sleep(float(sys.argv[2]))\nif os.fork(): os.wait()\nelse: print(error(dial().recv, 1))"
    started = [net.start(programs.child(code, server.port, part * 0.1), library=False, stdin=subprocess.PIPE) for part in range(6)]
    with contextlib.ExitStack() as guards:
        for program in started:
            guards.enter_context(guarding(pid_of(program), recv="1s"))
            program.process.stdin.write(b"\n")
            program.process.stdin.flush()
        results = [program.finish(6) for program in started]
    assert all(result.out and not result.cut for result in results), results


@contextlib.contextmanager
def cgroup(*parts):
    """A cgroup of this test's, with one below."""
    roots = [root for root in map(pathlib.Path, ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"]) if (root / "cgroup.procs").exists()]
    try:
        directory = roots[0] / f"netdeadline-{os.getpid()}"
        directory.joinpath(*parts).mkdir(parents=True)
    except (OSError, IndexError):
        pytest.skip("no cgroup can be made here")
    try:
        yield directory
    finally:
        for count in range(len(parts), -1, -1):
            with contextlib.suppress(FileNotFoundError):
                directory.joinpath(*parts[:count]).rmdir()


JOINS = """
def join(directory): open(directory + '/cgroup.procs', 'w').write(str(os.getpid()))
join(sys.argv[2])
s = dial()
"""


def test_a_cgroup(net):
    """Whoever lives in it, or below, whenever he comes, and whatever it is called."""
    server, below = net.serve(tcp.silent), "be low\x1b[31m\\x2d\udcff"
    with cgroup(below) as directory:
        code = JOINS + "time.sleep(0.5)\ntry: s.recv(1)\nexcept OSError as e: print(e.errno)"
        with guarding("--cgroup", directory, recv="1s") as told:
            result = net.run(programs.child(code, server.port, directory / below), library=False)
    assert result.status == 0 and result.out and result.elapsed < 4 and len(told) == 1, (result, told)


def test_who_leaves_a_cgroup(net):
    """He is left alone from then on; the guard ends with its cgroup."""
    server = net.serve(tcp.after(3, tcp.greeting(b"hello")))
    with cgroup("below") as directory:
        guard = subprocess.Popen([look.COMMAND, "guard", "--recv", "1500ms", "--cgroup", directory], stderr=subprocess.PIPE)
        until(lambda: handles(guard.pid, signal.SIGTERM))
        code = JOINS + "time.sleep(0.5); join(sys.argv[3])\nprint(s.recv(5))"
        result = net.run(programs.child(code, server.port, directory / "below", directory.parent), library=False)
        assert result.out == b"b'hello'\n" and guard.poll() is None, result
    assert guard.communicate(timeout=10) == (None, b"") and guard.returncode == 0


MOUNTED = ["unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', "sh"]


# Where a unit's cgroup is, and how the unit is called: an instance, of the system's or of a user's.
SLICES = {"the system": ("system.slice", "netdeadline-{}"), "a slice of its own": ("a.slice/a-b.slice/system-netdeadline.slice", "netdeadline@{}.1"),
          "a user": ("user.slice/user-1000.slice/user@1000.service/app.slice", "netdeadline-{}.service")}


@pytest.mark.usefixtures("other_users")
@pytest.mark.parametrize("where, name", SLICES.values(), ids=SLICES)
def test_a_unit(net, where, name):
    """A service that starts after its guard, as another user, in another network; the guard has what its unit leaves it."""
    if subprocess.run([*MOUNTED, "true"], capture_output=True).returncode:
        pytest.skip("no cgroup2 can be mounted here")
    name = name.format(os.getpid())
    directory = f"/sys/fs/cgroup/{where}/{name.removesuffix('.service')}.service"
    unit = netdeadline("unit", "--guard", name).stdout.decode()
    capabilities = unit.split("CapabilityBoundingSet=")[1].split("\n")[0].replace("CAP_", ",+").replace(" ", "").lower()
    enter = [*MOUNTED[:-2], f'{MOUNTED[-2].split(" && ")[0]} && mkdir -p {directory} && echo $$ >{directory}/cgroup.procs && exec "$@"', "sh"]
    server = net.serve(tcp.silent)
    code = "try: dial().recv(1)\nexcept OSError as e: print(e.errno)"
    try:
        with guarding("--unit", name, recv="1s", before=[*MOUNTED, "setpriv", f"--bounding-set=-all{capabilities}", "--no-new-privs"]) as told:
            program = net.start([*enter, "setpriv", "--reuid=65534", "--clear-groups", *programs.child(code, server.port)], library=False)
            result = program.finish(10)
        assert result.status == 0 and result.out and result.elapsed < 6 and len(told) == 1, (result, told)
    finally:
        subprocess.run([*MOUNTED, "rmdir", "-p", "--ignore-fail-on-non-empty", directory], capture_output=True)


def test_the_library_s_own_are_left_to_it(net):
    """A child that has the library is bounded by that, and not by the guard of its parent."""
    server = net.serve(tcp.silent)
    code = f"""
subprocess = __import__('subprocess')
child = subprocess.run([sys.executable, '-c', 'import socket, sys\\ntry: socket.create_connection(("127.0.0.1", int(sys.argv[1]))).recv(1)\\nexcept OSError as e: print(e.errno)', sys.argv[1]],
                       env={{**os.environ, 'LD_PRELOAD': {str(programs.LIBRARY)!r}, 'NETDEADLINE_RECV': '2s'}}, capture_output=True)
print(child.stdout)"""
    program = net.start(programs.child(code, server.port), library=False)
    with guarding(pid_of(program), recv="1s") as told:
        result = program.finish(10)
    assert b"110" in result.out and 1.9 < result.elapsed < 4 and not told, result


def test_one_that_is_named_ends_the_library_s_way(net):
    """What the guard of a process under the library ends is ended for the library, too: for ever."""
    server = net.serve(tcp.silent)
    code = "s = dial(); print(1, flush=True)\nprint(*[error(s.recv, 1) for i in range(3)], error(s.send, b'x'))"
    program = net.start(programs.child(code, server.port))
    assert program.process.stdout.readline()
    with guarding(pid_of(program), recv="1s"):
        result = program.finish(10)
    assert result.out.split()[0] == b"ETIMEDOUT" and b"None" not in result.out, result


@needs_go
def test_ps_names_the_peer_and_the_time(net, client):
    server = net.serve(tcp.silent)
    program = net.start([client, "get", f"127.0.0.1:{server.port}"], library=False)
    rows = until(lambda: [row for row in ps(pid_of(program)) if row["CALL"] == "reply-pending"])
    assert rows[0]["PEER"] == f"127.0.0.1:{server.port}" and rows[0]["WAITING"].endswith("s") and rows[0]["PROGRAM"] == "go_client", rows
    [row] = look.table(netdeadline("ps", "--connections", pid_of(program)).stdout.decode())
    assert (row["PEER"], row["STATE"]) == (f"127.0.0.1:{server.port}", "established") and row["PENDING"] != "-", row


@needs_go
@pytest.mark.parametrize("target", ["fd", "peer", "stuck"])
def test_end(net, client, target):
    server = net.serve(tcp.silent)
    program = net.start([client, "get", f"127.0.0.1:{server.port}"], library=False)
    [row] = until(lambda: look.table(netdeadline("ps", "--connections", pid_of(program)).stdout.decode()))
    pid = pid_of(program)
    arguments = {"fd": [pid, row["FD"]], "peer": [pid, f"127.0.0.1:{server.port}"], "stuck": ["--stuck", "--recv", "1s", pid]}[target]
    if target == "stuck":
        assert b"none is stuck by these limits" in netdeadline("end", "--stuck", "--recv", "30s", pid, status=1).stderr
        time.sleep(1)
    assert b"would be ended" in netdeadline("end", "--dry-run", *arguments).stdout and program.running
    assert b"ended" in netdeadline("end", *arguments).stdout
    assert b"reset" in program.finish(5).out


# What a program under the library does while its connection is ended, up to the error that it sees.
WAITS = {
    "recv": "got = error(s.recv, 1)",
    "poll": "poll_in(s, timeout=20); got = error(s.recv, 1)",
    "epoll": "s.setblocking(False); epoll_in(s, timeout=20); got = error(s.recv, 1)",
    "nothing": "sys.stdin.readline(); got = error(s.send, b'x')",
}


@pytest.mark.parametrize("recv", ["off", "1m"])
@pytest.mark.parametrize("what", WAITS)
def test_end_under_the_library(net, what, recv):
    """It ends as by a limit: for ever, with a line and in the counters."""
    server = net.serve(tcp.silent)
    code = f"s = dial(); print(os.getpid(), s.fileno(), flush=True)\n{WAITS[what]}\nprint(got, error(s.recv, 1), error(s.send, b'x'), flush=True); sys.stdin.readline()"
    program = net.start(programs.child(code, server.port), stdin=subprocess.PIPE, RECV=recv, LOG="stderr")
    pid, fd = map(int, program.process.stdout.readline().split())
    if what != "nothing":
        waits = "recv" if what == "recv" else "poll" if what == "poll" else "epoll"
        until(lambda: [row for row in ps(pid) if waits in row["CALL"]])
    by = [fd] if what != "poll" else [f":{server.port}"]
    text = netdeadline("end", pid, *by).stdout.decode()
    assert ("reported by the library" in text) == (what != "nothing"), text
    if what == "nothing":
        program.process.stdin.write(b"\n")
    first, *later = program.process.stdout.readline().decode().split()
    assert first == "ETIMEDOUT" and set(later) <= {"ETIMEDOUT", "ECONNRESET", "EPIPE"}, (first, later)
    assert stats(pid)[pid]["end"]["expired"] == 1
    result = program.finish(5, b"\n")
    assert result.err.decode().count("operation=end") == 1 and f"peer=127.0.0.1:{server.port} limit=none" in result.err.decode(), result


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime needs the calls itself")
@pytest.mark.parametrize("denied", [["pidfd_getfd"], ["pidfd_getfd", "pidfd_open"]], ids=["5.4", "4.19"])
@pytest.mark.parametrize("what", ["recv", "nothing"])
def test_end_by_an_old_kernel(net, denied, what):
    """No copy of the descriptor is to be had, to leave the library's mark on: what stands in the library's memory is the mark."""
    server = net.serve(tcp.silent)
    code = f"s = dial(); print(s.fileno(), flush=True)\n{WAITS[what]}\nprint(got, error(s.recv, 1), error(s.send, b'x'), flush=True); sys.stdin.readline()"
    program = net.start(programs.child(code, server.port), stdin=subprocess.PIPE, RECV="20s", LOG="stderr")
    fd = int(program.process.stdout.readline())
    if what == "recv":
        until(lambda: [row for row in ps(pid_of(program)) if "recv" in row["CALL"]])
    ended = subprocess.run([programs.BUILD / "tests/deny", *denied, "--", look.COMMAND, "end", str(pid_of(program)), str(fd)], capture_output=True, text=True, timeout=20)
    assert ended.returncode == 0 and ("reported by the library: " in ended.stdout) == (what == "recv"), ended
    if what == "nothing":
        program.process.stdin.write(b"\n")
    result = program.finish(5, b"\n")
    first, *later = result.out.decode().split()
    assert first == "ETIMEDOUT" and set(later) <= {"ETIMEDOUT", "ECONNRESET", "EPIPE"}, result
    assert result.err.decode().count("operation=end") == 1, result


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime needs the calls itself")
def test_guard_by_an_old_kernel(net):
    """Neither does the library take what guard has ended so for the end of an answer. It is guard that reports it."""
    server = net.serve(tcp.part())
    program = net.start(programs.child("s = dial(); s.send(b'x'); s.recv(100); print(error(s.recv, 1), error(s.recv, 1))", server.port), RECV="20s", LOG="stderr")
    with guarding(pid_of(program), before=[programs.BUILD / "tests/deny", "pidfd_getfd", "--"], recv="1s") as told:
        result = program.finish(10)
    assert result.out.decode().split() == ["ETIMEDOUT", "ECONNRESET"] and b"limit=" not in result.err, result
    assert [row["limit"] for row in told] == ["RECV"], told


def test_end_refuses(net):
    code = "a = socket.create_server(('127.0.0.1', 0)); b = udp(); print(a.fileno(), b.fileno(), flush=True); time.sleep(20)"
    program = net.start(programs.child(code), library=False)
    for fd in program.process.stdout.readline().split():
        error = netdeadline("end", pid_of(program), fd.decode(), status=1).stderr
        assert b"no TCP connection" in error, error
    netdeadline("end", pid_of(program), 999, status=1)
    netdeadline("end", pid_of(program), "nonsense/", status=2)
    netdeadline("end", pid_of(program), status=2)


@pytest.mark.usefixtures("other_users")
@pytest.mark.parametrize("command", [["guard"], ["end", "--stuck"]])
def test_another_user_s_process_is_refused(command):
    result = subprocess.run([look.COMMAND, *command, str(os.getpid())], capture_output=True, timeout=10, user=65534, group=65534)
    assert result.returncode == 125 and b"may not" in result.stderr, result


def test_guard_refuses():
    netdeadline("guard", status=2)
    netdeadline("guard", "--all", os.getpid(), status=2)
    netdeadline("guard", "nonsense", status=2)
    netdeadline("guard", 4194303, status=127)
    netdeadline("guard", "--cgroup", "/nowhere", status=127)


# Many connections are overdue at a time. As soon as the first of them is ended, the numbers of the others become those of one that is
# well, or their process is gone. An answer that is late, since the machine is busy, may be ended: the program measures from before it asks.
STORM = """
LIMIT, start = 0.1, time.monotonic()
rounds = wrong = late = 0
def ask(well, since):
    global wrong, late
    try:
        well.sendall(b'x')
        if well.recv(1) == b'x': return True
    except OSError: pass
    took = time.monotonic() - since
    late += took > LIMIT - 0.01
    wrong += took <= LIMIT - 0.01
def overdue():
    with socket.create_server(('127.0.0.1', 0), backlog=64) as silent:
        all = [dial(silent.getsockname()[1]) for i in range(60)]
        ended = select.poll()
        for a in all:
            a.send(b'x')
            ended.register(a, select.POLLIN)
        assert ended.poll(10000)
        return all
while rounds < 3 or time.monotonic() < start + 1:
    rounds += 1
    since = time.monotonic()
    with dial() as well:
        if not ask(well, since): continue
        if sys.argv[2] == 'fork':
            if os.fork() == 0:
                overdue()
                os._exit(0)
            assert os.wait()[1] == 0
            ask(well, time.monotonic())
        else:
            all = overdue()
            for a in reversed(all):
                os.dup2(well.fileno(), a.fileno())
            ask(well, time.monotonic())
            for a in all: a.close()
tell([wrong, late])"""


def test_nobody_else_is_ended(net):
    """Descriptors and processes go, and are taken by others, while guard ends what is overdue: a connection that a server answers is never
    ended, and of another process none at all."""
    silent, echo = net.serve(tcp.silent), net.serve(tcp.echo)
    other = net.start(programs.child("s = dial()\ntry: s.recv(1)\nexcept OSError as e: print(e)\n", silent.port), library=False)
    started = [net.start(programs.child(STORM, echo.port, way), library=False) for way in ["dup", "dup", "fork"]]
    with guarding(*map(pid_of, started), recv="100ms") as told:
        results = [program.finish(40) for program in started]
        assert other.running
    counts = [json.loads(result.out) for result in results if result.status == 0]
    assert len(counts) == len(started) and all(wrong == 0 for wrong, late in counts), results
    answered = [row for row in told if row["peer"].endswith(f":{echo.port}")]
    assert len(answered) <= sum(late for wrong, late in counts) and len(told) > len(answered), (results, told)
