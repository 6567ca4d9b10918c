"""What `netdeadline guard` costs: guard_bench.py [SECONDS [CONNECTIONS]] prints the processor time and the memory of a guard, at the defaults, of a
program that has so many connections to another host (a network namespace, by a veth pair): idle ones; and while ten a second come and go. Where
these are more than its limit of descriptors it is several processes."""

import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import programs  # noqa: E402

SETTLING = 5  # for what a guard does once: it reads all descriptors

SERVER = """
import os, socket, sys
sys.stdin.readline()
parts = int(sys.argv[1])
listeners = [socket.create_server(("10.0.0.2", 7000 + part), backlog=4096) for part in range(parts)]
print("ready", flush=True)
part = next((part for part in range(1, parts) if os.fork() == 0), 0)
kept = {}
while True:
    connection = listeners[part].accept()[0]
    kept[connection.fileno()] = connection
"""

CLIENT = """
import os, socket, sys, time
sys.stdin.readline()
parts = int(sys.argv[3])
part = next((part for part in range(1, parts) if os.fork() == 0), 0)
connect = lambda: socket.create_connection(("10.0.0.2", 7000 + part))
kept = [connect() for _ in range(int(sys.argv[1]) // parts)]
print("ready", flush=True)
for i in range(10**9):
    time.sleep(0.1 * parts if sys.argv[2] == "busy" else 3600)
    kept[i % len(kept)].close()
    kept[i % len(kept)] = connect()
"""


def host(code, *arguments):
    """A program in a network of its own, which waits for a line."""
    return subprocess.Popen(["unshare", "-n", programs.PYTHON, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True, start_new_session=True)


def inside(process, *command):
    subprocess.run(["nsenter", "-t", str(process.pid), "-n", *command], check=True)


def has_own_network(process):
    return os.readlink(f"/proc/{process.pid}/ns/net") != os.readlink("/proc/self/ns/net")


def connect(server, client, parts):
    while not (has_own_network(server) and has_own_network(client)):
        time.sleep(0.01)
    inside(client, "ip", "link", "add", "guard0", "type", "veth", "peer", "name", "guard0", "netns", str(server.pid))
    for process, address in (client, "10.0.0.1/24"), (server, "10.0.0.2/24"):
        inside(process, "ip", "address", "add", address, "dev", "guard0")
        inside(process, "ip", "link", "set", "guard0", "up")
    inside(client, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535")
    for process, count in (server, 1), (client, parts):
        process.stdin.write("go\n")
        process.stdin.flush()
        assert all(process.stdout.readline() == "ready\n" for _ in range(count))


def cpu_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def memory_mb(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS:")) / 1024


def measure(kind, seconds, count, parts):
    server, client = host(SERVER, parts), host(CLIENT, count, kind, parts)
    connect(server, client, parts)
    guard = subprocess.Popen([programs.BUILD / "netdeadline", "guard", str(client.pid)])
    time.sleep(SETTLING)
    before = cpu_ns(guard.pid)
    time.sleep(seconds)
    used = (cpu_ns(guard.pid) - before) / 1e7 / seconds
    print(f"guard of {count} {kind} connections: {used:.2f} % of a processor, {memory_mb(guard.pid):.0f} MB", flush=True)
    guard.kill()
    for process in client, server:  # with its parts
        os.killpg(process.pid, signal.SIGKILL)
    for process in guard, client, server:
        process.wait()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for kind in "idle", "busy":
        measure(kind, seconds, count, 1 + count // (hard - 100))


main()
