"""What doing nothing costs: the processor time of a server that waits in epoll for the most connections that it may open, up to
20,000, and of one with 1,000 threads that wait in recv; and how long `netdeadline set` takes to reach those."""

import os
import pathlib
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import programs  # noqa: E402

CONNECTIONS, THREADS, SPARE = 20_000, 1_000, 60
KINDS = {"without": programs.environment(library=False), "defaults": programs.environment(), "RECV=1m": programs.environment(RECV="1m")}

SERVER = """
import select, socket, sys, threading
count, threaded = int(sys.argv[1]), sys.argv[2] == "threads"
threading.stack_size(131072)
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(listener.getsockname()[1], flush=True)
accepted = [listener.accept()[0] for _ in range(count)]
if threaded:
    for s in accepted:
        threading.Thread(target=s.recv, args=(1,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
epoll = select.epoll()
for s in accepted:
    s.setblocking(False)
    epoll.register(s, select.EPOLLIN)
print("ready", flush=True)
epoll.poll()
"""

CLIENT = """
import socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
sys.stdin.read()
"""


def python(code, *arguments, **how):
    return subprocess.Popen([programs.PYTHON, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **how)


class Idle:
    def __init__(self, kind, count, environment):
        self.server = python(SERVER, count, kind, env=environment)
        self.client = python(CLIENT, self.server.stdout.readline().strip(), count, env=programs.environment(library=False))
        assert self.server.stdout.readline() == "ready\n"

    def cpu_ns(self):
        return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{self.server.pid}/task").iterdir())

    def set_ms(self):
        """How long it takes to change a limit; None without the library."""
        began = time.monotonic()
        done = subprocess.run([programs.BUILD / "netdeadline", "set", str(self.server.pid), "RECV=1h"], capture_output=True)
        return (time.monotonic() - began) * 1000 if done.returncode == 0 else None

    def close(self):
        for process in (self.client, self.server):
            process.kill()
            process.wait()


def measure(kind, count, seconds):
    """All at the same time: they do nothing."""
    idle = {name: Idle(kind, count, environment) for name, environment in KINDS.items()}
    time.sleep(10)
    before = {name: each.cpu_ns() for name, each in idle.items()}
    time.sleep(seconds)
    print(f"{kind}, {count} idle connections, of a processor:", end="")
    for name, each in idle.items():
        print(f"  {name} {(each.cpu_ns() - before[name]) / 1e7 / seconds:.3f} %", end="")
    times = {name: each.set_ms() for name, each in idle.items()}
    print("   set: " + ", ".join(f"{ms:.0f} ms ({name})" for name, ms in times.items() if ms is not None), flush=True)
    for each in idle.values():
        each.close()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60  # UNACKED: each connection is asked after once in that time
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    measure("epoll", min(CONNECTIONS, hard - SPARE), seconds)
    measure("threads", THREADS, seconds)


main()
