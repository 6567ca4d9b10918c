"""Runs unmodified programs against six peers that hang them, without the library (cut after a few seconds) and under
`netdeadline run`, and prints what became of them; then 10,000 lookups of a dead name server, counted while they run."""

import concurrent.futures
import contextlib
import os
import pathlib
import sys
import tempfile
import time

import programs
from faults import DnsServer, FullBacklog, Listener, dns, tcp, tls
from namespace import Namespace, NoNetwork, become_root

PATIENCE = 4.0
LIMITS = ["--resolve", "1s", "--connect", "1s", "--recv", "1s", "--send", "1s", "--tls-shutdown", "1s"]

PYTHON_TLS = """
import socket, ssl, sys
secure = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
secure.unwrap()
"""

# VividCortex's agent: its close waited for a write that would never end. `lock`: the program lets only one of them in at a time.
PYTHON_CLOSE = """
import contextlib, socket, ssl, sys, threading, time
lock = threading.Lock() if sys.argv[2] == "lock" else contextlib.nullcontext()
secure = ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
def write():
    with contextlib.suppress(OSError), lock: secure.sendall(bytes(50 << 20))
writer = threading.Thread(target=write)
writer.start()
time.sleep(0.5)
with lock: secure.unwrap()
"""

LOOKUPS = int(os.environ.get("DEMO_LOOKUPS", "10000"))

# What Timehop's service did when a name server stopped answering: each thread it lost this way was lost for good.
PYTHON_LOOKUPS = """
import concurrent.futures, os, socket, sys, threading, time
count, patience, ended, progress = int(sys.argv[1]), float(sys.argv[2]), [], open(sys.argv[3], "w")
def look_up(number):
    began = time.monotonic()
    try: socket.getaddrinfo(f"n{number}.test", 80)
    except socket.gaierror: pass
    ended.append(time.monotonic() - began)
def state():
    with open("/proc/self/statm") as file:
        megabytes = int(file.read().split()[1]) // 256
    threads, descriptors = (len(os.listdir(f"/proc/self/{what}")) for what in ("task", "fd"))
    return f"{threads} threads, {descriptors} descriptors, {megabytes} MB"
pool = concurrent.futures.ThreadPoolExecutor(30)
for number in range(count): pool.submit(look_up, number)
began, early = time.monotonic(), None
while len(ended) < count and time.monotonic() < began + patience:
    time.sleep(0.1)
    progress.seek(0)
    progress.write(str(len(ended)))
    progress.flush()
    if not early and len(ended) >= count // 5: early = state()
longest = f", the longest after {max(ended):.2f} s" if ended else ""
print(f"{len(ended)} of {count} lookups ended in {time.monotonic() - began:.0f} s{longest}")
print(f"after a fifth: {early}; at the end: {state()}", flush=True)
os._exit(len(ended) < count)
"""


def rows(full):
    """What hangs, the program's name, and its command line. The peers live in the network of the caller; `full` is one that drops SYNs."""
    silent, unclosed = Listener(tcp.silent), Listener(tls.over_tls(tcp.silent))
    unread = Listener(tls.over_tls(tcp.silent), receive_buffer=4096)
    DnsServer(dns.truncating, dns.silent, port=53)
    return [
        ("DNS that truncates, then is silent over TCP", "curl", ["curl", "-sS", "http://host.test/"]),
        ("a host that drops SYNs", "wget", ["wget", "--tries=1", "-nv", "-O-", f"http://127.0.0.1:{full.port}/"]),
        ("a server that never answers", "redis-cli", ["redis-cli", "-h", "127.0.0.1", "-p", silent.port, "get", "x"]),
        ("a TLS peer that never finishes the close", "python3", [programs.PYTHON, "-c", PYTHON_TLS, unclosed.port]),
        ("a TLS close during a write that is stuck", "python3", [programs.PYTHON, "-c", PYTHON_CLOSE, unread.port, "free"]),
        ("the same, with a lock around both", "python3", [programs.PYTHON, "-c", PYTHON_CLOSE, unread.port, "lock"]),
    ]


def run(net, argv):
    return programs.Program(argv, net, programs.environment(library=False)).finish(PATIENCE)


def told(result):
    if result.cut:
        return f"still hanging, cut after {result.elapsed:.1f} s"
    last = (result.text.strip().splitlines() or [""])[-1]
    return f"{result.elapsed:.1f} s, exit {result.status}: {last if len(last) <= 70 else '... ' + last[-66:]}"


def number_in(path):
    with contextlib.suppress(OSError):
        return path.read_text() or "0"
    return "0"


def count_up(names, paths, runs):
    """Tells how far the lookups are: on a terminal in one line that changes, else every ten seconds."""
    changes = sys.stdout.isatty()
    while not all(each.done() for each in runs):
        line = ", ".join(f"{name} {number_in(path):>5}" for name, path in zip(names, paths))
        print(f"\r  ended so far: {line}", end="" if changes else "\n", flush=True)
        concurrent.futures.wait(runs, 0.5 if changes else 10)
    print("\r" + " " * 78 + "\r" if changes else "", end="", flush=True)


def look_up_many(net, directory):
    """Thirty threads and the name server of the table's first row; true if every lookup ended under the library."""
    print(f"\n{LOOKUPS} lookups by 30 threads, DNS that truncates, then is silent over TCP"
          f" (about {LOOKUPS / 30 * 0.15:.0f} s)", flush=True)
    names, paths = ["without:", "with a limit of 150 ms:"], [pathlib.Path(directory, f"ended-{number}") for number in range(2)]
    argv = [programs.PYTHON, "-c", PYTHON_LOOKUPS, LOOKUPS]
    commands = [[*argv, 12, paths[0]],
                [programs.BUILD / "netdeadline", "run", "--resolve", "150ms", "--", *argv, LOOKUPS / 30 + 30, paths[1]]]
    with concurrent.futures.ThreadPoolExecutor() as both:
        started = [programs.Program(each, net, programs.environment(library=False)) for each in commands]
        runs = [both.submit(program.finish, LOOKUPS / 30 + 60) for program in started]
        count_up(names, paths, runs)
    without, under = (each.result() for each in runs)
    for name, result in zip(names, (without, under)):
        print(f"  {name:24}" + result.out.decode().strip().replace("\n", "\n" + " " * 26), flush=True)
    return without.status != 0 and under.status == 0


def show_table(net):
    """Runs each program twice, two rows at a time; true if each hung without the library and ended under it."""
    with net.inside():
        full = FullBacklog()
        table = rows(full)
    good = True
    print(f"{'fault':44}{'program':10}{'without':36}with limits of 1 s", flush=True)
    with concurrent.futures.ThreadPoolExecutor(4) as four:
        runs = [[four.submit(run, net, command) for command in (argv, [programs.BUILD / "netdeadline", "run", *LIMITS, "--", *argv])]
                for _, _, argv in table]
        for (fault, name, _), both in zip(table, runs):
            without, under = (each.result() for each in both)
            print(f"{fault:44}{name:10}{told(without):36}{told(under)}", flush=True)
            good &= without.cut and not under.cut and under.status > 0
    return good


def main():
    become_root()
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as directory, contextlib.closing(Namespace(directory)) as net:
            good = show_table(net)
            good &= look_up_many(net, directory)
    except NoNetwork as error:
        sys.exit(f"scripts/demo: {error}\nThe programs hang in a private network: that takes root, or user namespaces that an ordinary user may make.")
    print(f"in {time.monotonic() - began:.0f} s")
    sys.exit(0 if good else "netdeadline did not do its job here")


main()
