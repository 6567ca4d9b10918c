#!/usr/bin/python3
"""What a release library costs a program in which nothing fires: cost.py LIBRARY. Start-up under half a millisecond, and at most
64 KB of private memory after lookups, connections, transfers and waits under all limits. Exit status 1: it is more."""

import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

MOST_MS, MOST_KB = 0.5, 64
LIMITS = {f"NETDEADLINE_{name}": "30s" for name in ["RECV", "SEND", "CONNECT", "RESOLVE", "TLS_HANDSHAKE", "UNACKED", "IDLE", "INBOUND_RECV"]}

PROGRAM = """
import select, socket, sys
for i in range(3):
    connection = socket.create_connection(("localhost", int(sys.argv[1])))
    connection.sendall(b"x")
    select.select([connection], [], [], 5)
    connection.recv(1)
    connection.settimeout(5)
    connection.sendall(b"x")
    connection.recv(1)
print("done", flush=True)
sys.stdin.read()
"""


def with_library(library):
    return {**os.environ, **LIMITS, **({"LD_PRELOAD": library} if library else {})}


def start(environment):
    began = time.perf_counter()
    os.waitpid(os.posix_spawn("/bin/true", ["true"], environment), 0)
    return time.perf_counter() - began


def start_up_ms(library, rounds=600):
    """Of the quickest starts, one in ten: what else the machine does makes the others slower, with and without the library."""
    times = {}
    for i in range(2 * rounds):
        times.setdefault(i % 2, []).append(start(with_library(library if i % 2 else None)))
    return 1000 * (statistics.quantiles(times[1], n=10)[0] - statistics.quantiles(times[0], n=10)[0])


def private_kb(library, port):
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(port)], env=with_library(library), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdout.readline() == b"done\n"
    with open(f"/proc/{program.pid}/smaps") as file:
        total = sum(int(kb) for kb in re.findall(r"^Private_Dirty: +(\d+) kB", file.read(), re.MULTILINE))
    program.communicate()
    return total


def send_back(listener):
    while True:
        with listener.accept()[0] as connection, contextlib.suppress(OSError):
            while byte := connection.recv(1):
                connection.sendall(byte)


def main(library):
    with open(library, "rb+") as file:
        os.fsync(file)  # pages of a file that is not on the disk yet count as written by those who have it
    ms = start_up_ms(library)
    print(f"start-up: {ms:.3f} ms, at most {MOST_MS}")
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=send_back, args=[listener], daemon=True).start()
    port = listener.getsockname()[1]
    kb = statistics.median(private_kb(library, port) - private_kb(None, port) for _ in range(9))
    print(f"private memory: {kb:.0f} KB, at most {MOST_KB}")
    return ms >= MOST_MS or kb > MOST_KB


sys.exit(main(sys.argv[1]))
