"""Runs unmodified programs against six peers that hang them, without the library (cut after a few seconds) and under
`netdeadline run`, and prints what became of them."""

import concurrent.futures
import contextlib
import os
import sys
import tempfile

import programs
from faults import DnsServer, Listener, dns, tcp, tls
from namespace import Namespace

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
count, patience, ended, worst = int(sys.argv[1]), float(sys.argv[2]), [], 0
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
    if not early and len(ended) >= count // 5: early = state()
longest = f", the longest after {max(ended):.2f} s" if ended else ""
print(f"{len(ended)} of {count} lookups ended in {time.monotonic() - began:.0f} s{longest}")
print(f"after a fifth: {early}; at the end: {state()}", flush=True)
os._exit(len(ended) < count)
"""


def rows(net):
    """What hangs, the program's name, and its command line."""
    silent, unclosed = Listener(tcp.silent), Listener(tls.over_tls(tcp.silent))
    unread = Listener(tls.over_tls(tcp.silent), receive_buffer=4096)
    DnsServer(dns.truncating, dns.silent, port=53)
    return [
        ("DNS that truncates, then is silent over TCP", "curl", ["curl", "-sS", "http://host.test/"]),
        ("a host that drops SYNs", "wget", ["wget", "--tries=1", "-nv", "-O-", f"http://{net.blackhole()}/"]),
        ("a server that never answers", "psql", ["psql", "-X", f"host=127.0.0.1 port={silent.port}", "-c", "select 1"]),
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


def look_up_many(net):
    """Thirty threads and the name server of the table's first row; true if every lookup ended under the library."""
    print(f"\n{LOOKUPS} lookups by 30 threads, DNS that truncates, then is silent over TCP", flush=True)
    argv = [programs.PYTHON, "-c", PYTHON_LOOKUPS, LOOKUPS]
    limited = [programs.BUILD / "netdeadline", "run", "--resolve", "250ms", "--", *argv, LOOKUPS / 30 + 30]
    with concurrent.futures.ThreadPoolExecutor() as both:
        runs = [programs.Program(each, net, programs.environment(library=False)) for each in ([*argv, 12], limited)]
        without, under = both.map(lambda program: program.finish(LOOKUPS / 30 + 60), runs)
    for name, result in ("without:", without), ("with a limit of 250 ms:", under):
        print(f"  {name:24}" + result.out.decode().strip().replace("\n", "\n" + " " * 26), flush=True)
    return without.status != 0 and under.status == 0


def main():
    good = True
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Namespace(directory)) as net:
        with net.inside():
            table = rows(net)
        print(f"{'fault':44}{'program':9}{'without':36}with limits of 1 s")
        for fault, name, argv in table:
            with concurrent.futures.ThreadPoolExecutor() as both:
                without, under = both.map(lambda each: run(net, each), [
                    argv, [programs.BUILD / "netdeadline", "run", *LIMITS, "--", *argv]])
            print(f"{fault:44}{name:9}{told(without):36}{told(under)}", flush=True)
            good &= without.cut and not under.cut and under.status > 0
        good &= look_up_many(net)
    sys.exit(0 if good else "netdeadline did not do its job here")


main()
