"""`netdeadline stats`: what was counted, as a table, as JSON, for Prometheus; and MODE=observe, which ends nothing."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

import look
import programs
from calls import CALL, LIMIT, at
from faults import dns, tcp
from look import netdeadline, pid_of, stats, until

MS = f"{LIMIT}ms"
STAY = "sleep:20000"


def counted(program, call, **wanted):
    """The counters of a call of a program that goes on, once they are as wanted."""
    pid = pid_of(program)

    def as_wanted():
        row = stats(pid).get(pid, {}).get(call)
        return row if row and all(row[name] == value for name, value in wanted.items()) else None

    row = until(as_wanted)
    assert row, stats(pid)
    return row


def test_expiry(net):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv", STAY], RECV=MS)
    row = counted(program, "recv", calls=1, expired=1)
    assert row["observed"] == 0 and LIMIT / 1000 <= row["longest_seconds"] < 3, row
    assert sum(bucket["count"] for bucket in row["buckets"]) == 0, "an expiry says nothing of how long such calls take"
    assert counted(program, "connect", calls=1, expired=0)


def test_waits_by_how_long_they_took(net):
    server = net.serve(tcp.after(0.25, tcp.greeting(b"x")))
    program = net.start([CALL, at(server), "recv:1", STAY], RECV="5s")
    row = counted(program, "recv", calls=1, expired=0)
    assert [bucket["le_ms"] for bucket in row["buckets"] if bucket["count"]] in ([500], [1000]), row
    assert 0.2 < row["waited_seconds"] == row["longest_seconds"] < 1, row


def test_lookup(net):
    net.dns(dns.silent)
    code = ("socket.getaddrinfo('127.0.0.1', 80)\n"
            "try: socket.getaddrinfo('host.test', 80)\n"
            "except OSError: time.sleep(20)")
    program = net.start(programs.child(code), RESOLVE=MS)
    counted(program, "getaddrinfo", calls=1, expired=1)


def test_a_suggested_limit(net):
    """Three times what all but one in a thousand of the waits took, and only where there were enough of them."""
    server = net.serve(tcp.echo)
    code = f"""
s = dial({server.port})
for i in range(3): s.send(b"x"); s.recv(1)
print(flush=True); input()
for i in range(30): s.send(b"x"); s.recv(1)
print(flush=True); time.sleep(20)
"""
    program = net.start(programs.child(code), stdin=subprocess.PIPE, RECV="30s")
    program.process.stdout.readline()
    assert counted(program, "recv", calls=3)["suggested"] is None
    program.process.stdin.write(b"\n")
    program.process.stdout.readline()
    assert counted(program, "recv", calls=33)["suggested"] == "RECV=1s"
    text = netdeadline("stats", pid_of(program)).stdout.decode()
    assert next(row for row in look.table(text) if row["CALL"] == "recv")["SUGGESTED"] == "RECV=1s", text


OBSERVED = {
    "recv": ("after", "s.recv(1)"),
    "poll": ("after", "p = select.poll(); p.register(s, select.POLLIN); p.poll(); s.recv(1)"),
    "select": ("after", "select.select([s], [], []); s.recv(1)"),
    "epoll_wait": ("after", "e = select.epoll(); e.register(s, select.EPOLLIN); e.poll(); s.recv(1)"),
}


@pytest.mark.parametrize("call", OBSERVED)
def test_observe_counts_what_would_have_fired_once(net, call):
    """The answer comes after three limits: the call gets it, and one line says that it would not have."""
    server = net.serve(tcp.after(3.5 * LIMIT / 1000, tcp.greeting(b"x")))
    log = net.directory / "log"
    code = (f"s = dial({server.port}); {OBSERVED[call][1]};"
            f" print('got it', flush=True); time.sleep(20)")
    program = net.start(programs.child(code), RECV=MS, MODE="observe", LOG=str(log))
    assert program.process.stdout.readline() == b"got it\n"
    names = {call, "p" + call, "epoll_wait"} if call != "recv" else {"recv"}
    found = until(lambda: {name: row for name, row in stats(pid_of(program))[pid_of(program)].items() if name in names and row["observed"]})
    assert found and sum(row["observed"] for row in found.values()) == 1, stats(pid_of(program))
    assert sum(row["expired"] for row in found.values()) == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 1 and "observed=true" in lines[0] and "limit=RECV" in lines[0], lines


def test_observe_times_what_has_no_limit(net):
    """An operator who has set no RECV can see what it could be."""
    server = net.serve(tcp.after(0.25, tcp.greeting(b"x")))
    program = net.start([CALL, at(server), "recv:1", STAY], MODE="observe")
    row = counted(program, "recv", calls=1, observed=0, expired=0)
    assert row["longest_seconds"] > 0.2


def test_observe_leaves_the_kernel_alone(net):
    """No timer on the socket, and a lookup by libc: the wait is the program's own."""
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "get:rcvtimeo", "recv", STAY], RECV=MS, SEND=MS, CONNECT=MS, KEEPALIVE="1s", MODE="observe")
    row = look.waiting(program, "recv")
    assert row["LIMIT"] == f"RECV={MS} (observed)" and row["LEFT"].endswith("ms"), row


# --- Prometheus ---

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\+Inf|-?[0-9.e+]+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')


def parse_prometheus(text):
    """Strict: each family's help and type stand before its samples, which stand together; no sample twice."""
    types, samples, family = {}, {}, None
    assert text.endswith("\n")
    lines = text.split("\n")[:-1]
    helped = None
    for line in lines:
        if line.startswith("# HELP "):
            helped, meaning = line[7:].split(" ", 1)
            assert helped not in types and meaning, line
        elif line.startswith("# TYPE "):
            family, kind = line[7:].split(" ")
            assert family == helped and kind in ("counter", "gauge", "histogram"), line
            types[family] = kind
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            base = re.sub("_(bucket|sum|count)$", "", name) if types[family] == "histogram" else name
            assert base == family and (kind != "counter" or name.endswith("_total")), line
            pairs = LABEL.findall(labels or "")
            key = (name, *sorted(pairs))
            assert key not in samples and len(dict(pairs)) == len(pairs), line
            samples[key] = float(value)
    return types, samples


def unit_of(pid):
    """The innermost service of a process, as its cgroup has it."""
    names = [name for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
             if line.startswith("0::") or ":name=systemd:" in line for name in line.split("/")]
    return next((name for name in reversed(names) if name.endswith(".service")), "")


def test_prometheus(net, tmp_path):
    server = net.serve(tcp.silent)
    odd = shutil.copy(CALL, tmp_path / "a\"b\\c\nd\xe9")
    program = net.start([odd, at(server), "recv", STAY], RECV=MS)
    counted(program, "recv", expired=1)
    text = netdeadline("stats", "--prometheus", "--by-pid", pid_of(program)).stdout.decode("ascii")
    types, samples = parse_prometheus(text)
    assert types["netdeadline_calls_total"] == "counter" and types["netdeadline_wait_seconds"] == "histogram"
    where = {("pid", str(pid_of(program))), ("program", r'a\"b\\c?d??'), ("unit", unit_of(pid_of(program)))}

    def value(name, **labels):
        return next(value for key, value in samples.items() if key[0] == name and set(key[1:]) == where | set(labels.items()))

    assert value("netdeadline_expiries_total", operation="recv") == 1
    assert value("netdeadline_limit_seconds", limit="RECV") == LIMIT / 1000
    assert value("netdeadline_limit_expiries_total", limit="RECV", section="environment", mode="enforce") == 1
    buckets = [value for key, value in samples.items() if key[0] == "netdeadline_wait_seconds_bucket" and ("operation", "connect") in key]
    assert buckets == sorted(buckets) and buckets[-1] == value("netdeadline_wait_seconds_count", operation="connect") == 1


def test_prometheus_by_program(net):
    """Two processes of one program are one series, which says nothing of either's number nor peer."""
    server = net.serve(tcp.silent)
    programs = [net.start([CALL, at(server), "recv", STAY], RECV=MS) for _ in range(2)]
    for program in programs:
        counted(program, "recv", expired=1)
    text = netdeadline("stats", "--prometheus", *map(pid_of, programs)).stdout.decode()
    _, samples = parse_prometheus(text)
    assert [value for key, value in samples.items() if key[0] == "netdeadline_expiries_total" and ("operation", "recv") in key] == [2]
    assert "pid=" not in text and str(server.port) not in text and "127.0.0.1" not in text, text
    netdeadline("stats", "--by-pid", status=2)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool(net):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv", STAY], RECV=MS)
    counted(program, "recv", expired=1)
    text = netdeadline("stats", "--prometheus", pid_of(program)).stdout
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b""), result


def test_json_is_one_object(net):
    program = net.start(["sleep", "30"], RECV="2s", MIN_RATE="1k/30s")
    until(lambda: look.library_of(pid_of(program)))
    process = until(lambda: json.loads(netdeadline("stats", "--json", pid_of(program), status=None).stdout)["processes"])[0]
    assert (process["program"], process["waiting"], process["operations"]) == ("sleep", 0, []), process
    assert (process["settings"]["RECV"], process["settings"]["MIN_RATE"], process["settings"]["MODE"]) == ("2s", "1k/30s", "enforce")


def test_process_without_the_library():
    program = subprocess.Popen(["sleep", "30"])
    try:
        assert b"has not loaded the library" in netdeadline("stats", program.pid, status=125).stderr
    finally:
        program.kill()
        program.wait()


def test_many_threads_lose_no_count(net):
    """Sixty-four threads count at once."""
    server = net.serve(tcp.echo)
    code = f"""
def talk():
    s = dial({server.port})
    for _ in range(50): s.send(b"x"); s.recv(1)
threads = [threading.Thread(target=talk) for _ in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(flush=True); time.sleep(20)
"""
    program = net.start(programs.child(code), RECV="30s")
    program.process.stdout.readline()
    assert counted(program, "recv", calls=64 * 50, expired=0)
    assert counted(program, "connect", calls=64)
