"""`netdeadline exporter`: what was counted, for Prometheus, by program, and beyond the processes' end. The dashboard and the alerts
name no series that it does not have."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

import look
import programs
from calls import CALL, LIMIT, at
from faults import tcp
from look import netdeadline, pid_of, until
from stats_test import counted, parse_prometheus

MS = f"{LIMIT}ms"
STAY = "sleep:200000"

# On a busy host, and with a sanitizer, a look takes long, and the next one is put off: seconds in which several are made.
LOOKS = 60


class Exporter:
    def __init__(self, *arguments):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("NETDEADLINE_", "LD_PRELOAD"))}
        self.process = subprocess.Popen([look.COMMAND, "exporter", *map(str, arguments)], env=env, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) == 0
        self.process.stderr.close()


@pytest.fixture
def exporter():
    started = []

    def start(*arguments):
        started.append(Exporter(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ask(path, request=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
    """What a local socket answers; None where nobody listens yet."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        try:
            connection.connect(str(path))
        except OSError:
            return None
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and f"Content-Length: {len(body)}".encode() in head, head
    return body.decode("ascii")


def total(text, name, **labels):
    """The sum of the samples that have these labels, or None where there is none. Other processes of the host may be under the
    library as well."""
    _, samples = parse_prometheus(text) if text else ({}, {})
    found = [value for key, value in samples.items() if key[0] == name and set(labels.items()) <= set(key[1:])]
    return sum(found) if found else None


def named(tmp_path, name):
    """The test program by a name that no other process of the host has."""
    os.symlink(CALL, tmp_path / name)
    return tmp_path / name


def test_counts_outlive_their_process(net, exporter, tmp_path):
    server = net.serve(tcp.silent)
    name = f"xp{os.getpid()}"
    (tmp_path / "conf").write_text(f"CONNECT = 9s\n[destination 127.0.0.0/8]\nRECV = {MS}\n")
    program = net.start([named(tmp_path, name), at(server), "recv", STAY], CONFIG=str(tmp_path / "conf"))
    exporter("--listen", f"unix:{tmp_path}/socket", "--interval", "100ms")
    until(lambda: total(ask(tmp_path / "socket"), "netdeadline_limit_expiries_total", program=name) == 1, LOOKS)
    text = ask(tmp_path / "socket")
    assert total(text, "netdeadline_expiries_total", program=name, operation="recv") == 1, text
    assert total(text, "netdeadline_processes", program=name) == 1, text
    assert total(text, "netdeadline_limit_expiries_total", program=name, limit="RECV", section="[destination 127.0.0.0/8]") == 1, text
    program.process.kill()
    program.process.wait()
    gone = until(lambda: (text := ask(tmp_path / "socket")) and total(text, "netdeadline_processes", program=name) == 0 and text, LOOKS)
    assert gone and total(gone, "netdeadline_expiries_total", program=name, operation="recv") == 1, gone
    assert total(gone, "netdeadline_limit_expiries_total", program=name) == 1 and total(gone, "netdeadline_waiting_threads", program=name) == 0
    assert str(server.port) not in "".join(line for line in gone.splitlines() if name in line)


def test_a_file_that_is_newer_than_the_process_names_no_section(net, tmp_path):
    server = net.serve(tcp.silent)
    (tmp_path / "conf").write_text(f"\n[destination 127.0.0.0/8]\nRECV = {MS}\n")
    program = net.start([CALL, at(server), "recv", STAY], CONFIG=str(tmp_path / "conf"))
    counted(program, "recv", expired=1)
    for newer, section in [(-3600, "[destination 127.0.0.0/8]"), (3600, "line 3")]:
        os.utime(tmp_path / "conf", times=(time.time() + newer,) * 2)
        text = netdeadline("stats", "--prometheus", pid_of(program)).stdout.decode()
        assert total(text, "netdeadline_limit_expiries_total", limit="RECV", section=section) == 1, text


def test_what_waits_now(net, exporter, tmp_path):
    """A call under way, and a connection whose peer owes a reply."""
    name = f"xq{os.getpid()}"
    server = net.serve(tcp.silent)
    program = net.start([named(tmp_path, name), at(server), "send:5", "recv", STAY], RECV="60s")
    look.waiting(program, "recv")
    exporter("--listen", f"unix:{tmp_path}/socket")

    def old_enough():
        text = ask(tmp_path / "socket")
        oldest = [total(text, f"netdeadline_oldest_{what}_seconds", program=name) or 0 for what in ("wait", "reply_pending")]
        return min(oldest) >= 1 and text

    text = until(old_enough, LOOKS)
    assert text and total(text, "netdeadline_waiting_threads", program=name) == 1, text
    assert total(text, "netdeadline_oldest_wait_seconds", program=name) < 60
    assert total(text, "netdeadline_reply_pending_connections", program=name) == 1


def test_listens_at_the_loopback(exporter):
    port = free_port()
    exporter("--listen", port)
    answer = until(lambda: fetch(port))
    assert answer and "netdeadline_exporter_looks_total" in answer
    with open("/proc/net/tcp", encoding="ascii") as sockets:
        assert any(line.split()[1] == f"0100007F:{port:04X}" and line.split()[3] == "0A" for line in sockets)


def fetch(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.read().decode()
    except OSError:
        return None


def test_slow_clients_keep_nobody_out(exporter, tmp_path):
    """More of them than there are places."""
    exporter("--listen", f"unix:{tmp_path}/socket")
    assert until(lambda: ask(tmp_path / "socket"))
    slow = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    for each in slow:
        each.connect(str(tmp_path / "socket"))
        each.send(b"GET /metr")
    assert ask(tmp_path / "socket")
    for each in slow:
        each.close()


def test_textfile(exporter, tmp_path):
    exporter("--textfile", tmp_path / "x.prom", "--interval", "50ms")
    text = until(lambda: (tmp_path / "x.prom").exists() and (tmp_path / "x.prom").read_text())
    parse_prometheus(text)
    first = re.search(r"^netdeadline_exporter_looks_total (\d+)$", text, re.M)[1]
    assert until(lambda: re.search(r"looks_total (\d+)$", (tmp_path / "x.prom").read_text(), re.M)[1] != first, LOOKS)


@pytest.mark.parametrize("arguments, status", [
    (["--listen", "nowhere"], 125), (["--listen", "1.2.3.4:1"], 125), (["--interval", "5"], 2), (["--interval", "off"], 2), (["x"], 2)])
def test_wrong_usage(arguments, status):
    netdeadline("exporter", *arguments, status=status)


# --- the dashboard and the alerts ---

def series():
    """The type of each family that the exporter has."""
    text = netdeadline("stats", "--prometheus").stdout.decode() + OWN
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


OWN = """# TYPE netdeadline_exporter_looks_total counter
# TYPE netdeadline_exporter_look_seconds gauge
# TYPE netdeadline_exporter_denied_processes gauge
"""
LABELS = {"program", "unit", "operation", "limit", "section", "mode", "version", "le"}


def expressions():
    dashboard = json.loads((programs.ROOT / "packaging/grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]
    for line in (programs.ROOT / "packaging/prometheus-alerts.yml").read_text().splitlines():
        if found := re.match(r"\s+expr: (.*)", line):
            yield found[1]


def test_dashboard_and_alerts_name_series_that_exist():
    types = series()
    found = list(expressions())
    assert len(found) >= 12
    for expression in found:
        names = re.findall(r"\bnetdeadline_\w+", expression)
        assert names, expression
        for name in names:
            base = re.sub("_(bucket|sum|count)$", "", name)
            assert types.get(name) in ("counter", "gauge") or types.get(base) == "histogram", (name, expression)
            counted = name.endswith(("_total", "_bucket"))
            assert counted == bool(re.search(rf"(rate|increase)\({name}\b", expression)), f"a counter, and nothing else, has a rate: {expression}"
        for group in re.findall(r"\{([^}]*)\}|\b(?:by|on|without) \(([^)]*)\)", expression):
            labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=|,|$)", re.sub(r'"[^"]*"', "", "".join(group)))
            assert set(labels) <= LABELS, (labels, expression)


def test_labels_are_those_of_the_samples(net):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv", STAY], RECV=MS)
    counted(program, "recv", expired=1)
    _, samples = parse_prometheus(netdeadline("stats", "--prometheus", pid_of(program)).stdout.decode())
    assert {label for key in samples for label, _ in key[1:]} == LABELS


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_takes_the_alerts_and_the_series(net):
    """Debian has it in the package prometheus."""
    subprocess.run(["promtool", "check", "rules", programs.ROOT / "packaging/prometheus-alerts.yml"], check=True, timeout=30)
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv", STAY], RECV=MS)
    counted(program, "recv", expired=1)
    page = netdeadline("stats", "--prometheus", pid_of(program)).stdout
    told = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=30)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b""), told
