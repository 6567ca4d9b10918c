"""`netdeadline ps`: every call that waits, and nothing that is not there."""

import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

import look
import programs
from calls import CALL, at
from faults import dns, tcp
from look import netdeadline, pid_of, ps, until, waiting

LIMITS = {"RECV": "30s", "CONNECT": "30s", "SEND": "30s", "RESOLVE": "30s"}


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s)", text).groups()
    return float(number) / (1000 if unit == "ms" else 1)


@pytest.mark.parametrize("step, call", [("recv", "recv"), ("read", "read")])
def test_receive(net, step, call):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), step], **LIMITS)
    row = waiting(program, call)
    assert (row["TID"], row["PROGRAM"]) == (str(pid_of(program)), "call"), row
    assert (row["PEER"], row["LIMIT"]) == (f"127.0.0.1:{server.port}", "RECV=30s"), row
    assert seconds(row["WAITING"]) < 10 and 20 < seconds(row["LEFT"]) <= 30, row


def test_connect(net):
    program = net.start([CALL, f"connect:{net.blackhole()}:80"], **LIMITS)
    row = waiting(program, "connect")
    assert (row["PEER"], row["LIMIT"]) == ("192.0.2.66:80", "CONNECT=30s"), row


def test_send(net):
    server = net.open(tcp.never_reads)
    code = f"dial({server.port}).sendall(bytes(50000000))"
    program = net.start(programs.child(code), **LIMITS)
    row = waiting(program, "send")
    assert row["LIMIT"] == "SEND=30s" and row["PEER"].endswith(f":{server.port}"), row


def test_lookup(net):
    net.dns(dns.silent)
    program = net.start(["getent", "ahosts", "host.test"], **LIMITS)
    row = waiting(program, "getaddrinfo")
    assert (row["PEER"], row["FD"], row["LIMIT"]) == ("host.test", "-", "RESOLVE=30s"), row


@pytest.mark.parametrize("keepalive, shown", [("off", "-"), ("60s", "KEEPALIVE=1m")])
def test_by_default(net, keepalive, shown):
    """UNACKED holds only once the peer owes an acknowledgement; after the silence the kernel probes for that long."""
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv"], KEEPALIVE=keepalive)
    row = waiting(program, "recv", LIMIT=shown)
    assert row["PEER"] == f"127.0.0.1:{server.port}" and row["LEFT"][:3] in ("-", "2m0"), row


WAITS = {
    "recvfrom": "s.recv(1)",
    "poll": "p = select.poll(); p.register(s, select.POLLIN); p.poll()",
    "select": "select.select([s], [], [])",
    "epoll_wait": "e = select.epoll(); e.register(s, select.EPOLLIN); e.poll()",
}


SOCKETCALL = """
#include <linux/net.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <arpa/inet.h>

static int call(int number, void *a, void *b) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(0) : "memory");
    return result;
}
#define SOCKETCALL(which, ...) call(102, (void *)which, (long[]){__VA_ARGS__})

int main(int argc, char **argv) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = inet_addr(argv[3])};
    struct iovec iov = {malloc(1 << 20), 1 << 20};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    int fd = SOCKETCALL(SYS_SOCKET, AF_INET, SOCK_STREAM, 0);
    SOCKETCALL(SYS_CONNECT, fd, (long)&to, sizeof to);
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    if (!strcmp(argv[2], "recv")) SOCKETCALL(SYS_RECV, fd, (long)iov.iov_base, 10, 0);
    if (!strcmp(argv[2], "recvfrom")) SOCKETCALL(SYS_RECVFROM, fd, (long)iov.iov_base, 10, 0, 0, 0);
    if (!strcmp(argv[2], "recvmsg")) SOCKETCALL(SYS_RECVMSG, fd, (long)&message, 0);
    if (!strcmp(argv[2], "select")) call(82, (long[]){fd + 1, (long)&in, 0, 0, 0}, NULL);
    for (;;) SOCKETCALL(SYS_SEND, fd, (long)iov.iov_base, 1 << 20, 0);
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="i386's calls")
@pytest.mark.parametrize("call", ["connect", "recv", "recvfrom", "recvmsg", "send", "select"])
def test_socketcall_of_i386(net, tmp_path, call):
    """Its libc made all calls on sockets by one number before glibc 2.22; here without libc's part in it, and without the library."""
    (tmp_path / "old.c").write_text(SOCKETCALL)
    build = ["gcc", "-m32", "-static", "-w", "-idirafter", "/usr/include/x86_64-linux-gnu", "-o", tmp_path / "old", tmp_path / "old.c"]
    if subprocess.run(build, capture_output=True).returncode:
        pytest.skip("no 32-bit program can be built")
    server = net.open(tcp.never_reads)
    host = net.blackhole() if call == "connect" else "127.0.0.1"
    program = net.start([tmp_path / "old", server.port, call, host], library=False)
    row = waiting(program, call)
    assert row["PEER"] == f"{host}:{server.port}" and row["LIMIT"] == "no library", row


@pytest.mark.parametrize("call", WAITS)
def test_process_without_the_library(net, call):
    server = net.serve(tcp.silent)
    code = f"s = dial({server.port}); {WAITS[call]}"
    program = net.start(programs.child(code), library=False)
    names = {call, "p" + call}
    row = until(lambda: next((row for row in ps(pid_of(program)) if row["CALL"] in names), None))
    assert row and (row["PEER"], row["LIMIT"]) == (f"127.0.0.1:{server.port}", "no library"), row
    assert str(pid_of(program)) in {row["PID"] for row in ps()}


@pytest.mark.parametrize("call", ["poll", "select", "epoll_wait"])
def test_waits_for_several(net, call):
    server = net.serve(tcp.silent)
    code = f"s = dial({server.port}); {WAITS[call]}"
    program = net.start(programs.child(code), **LIMITS)
    row = until(lambda: next((row for row in ps(pid_of(program)) if row["CALL"] in (call, "p" + call)), None))
    assert row["PEER"] == f"127.0.0.1:{server.port}" and seconds(row["WAITING"]) < 10, row
    assert row["LIMIT"] == "RECV=30s" and 20 < seconds(row["LEFT"]) <= 30, row


def test_process_that_waits_for_nothing(net):
    program = net.start(["sleep", "30"])
    until(lambda: [row["PROGRAM"] for row in ps(pid_of(program))] == ["sleep"])  # and not env, which executes it
    row, = ps(pid_of(program))
    assert (row["TID"], row["CALL"]) == ("-", "-"), row
    assert until(lambda: any(row["PID"] == str(pid_of(program)) for row in ps()))


def test_every_thread(net):
    """Forty threads, each with its slot and its peer; when they are done, nothing is left."""
    server = net.serve(tcp.silent)
    code = f"""
sockets = [dial({server.port}) for _ in range(40)]
threads = [threading.Thread(target=lambda s=s: s.recv(1)) for s in sockets]
for thread in threads: thread.start()
input()
for s in sockets: s.shutdown(socket.SHUT_RDWR)
for thread in threads: thread.join()
print("done", flush=True)
time.sleep(30)
"""
    program = net.start(programs.child(code), stdin=subprocess.PIPE, **LIMITS)
    rows = until(lambda: rows if len(rows := [row for row in ps(pid_of(program)) if row["CALL"] == "recv"]) == 40 else None)
    assert rows and len({row["TID"] for row in rows}) == len({row["FD"] for row in rows}) == 40, ps(pid_of(program))
    program.process.stdin.write(b"\n")
    assert program.process.stdout.readline() == b"done\n"
    assert [row["CALL"] for row in ps(pid_of(program))] == ["-"]
    assert look.stats(pid_of(program))[pid_of(program)]["recv"]["calls"] == 40


def test_calls_that_begin_and_end_meanwhile(net):
    """A thread that enters its call while ps looks is in it with its limit."""
    server = net.serve(tcp.drip(bytes(100000), 0.001))
    code = f"""
def read_on(s):
    s.send(b"?")
    while os.read(s.fileno(), 1): pass
for _ in range(10): threading.Thread(target=read_on, args=(dial({server.port}),)).start()
"""
    program = net.start(programs.child(code), **LIMITS)
    waiting(program, "read")
    rows = [row for _ in range(150) for row in ps(pid_of(program)) if row["CALL"] == "read" and row["PEER"].endswith(f":{server.port}")]
    assert len(rows) > 150
    assert not [row for row in rows if row["LIMIT"] != "RECV=30s"], len(rows)


def test_a_forked_child_starts_anew(net):
    """A child has its parent's memory, but not its waits and counts."""
    server = net.serve(tcp.silent)
    code = f"""
s = dial({server.port})
threading.Thread(target=s.recv, args=(1,), daemon=True).start()
time.sleep(0.3)
child = os.fork()
if child == 0: time.sleep(30)
print(child, flush=True)
time.sleep(30)
"""
    program = net.start(programs.child(code), **LIMITS)
    child = int(program.process.stdout.readline())
    assert [row["CALL"] for row in ps(child)] == ["-"]
    assert look.stats(child)[child] == {}
    assert waiting(program, "recv")


def test_a_jump_out_of_a_wait_leaves_nothing_to_see(net):
    """A handler that jumps out of recv: the thread is not in it any more."""
    if programs.RUNTIME:
        pytest.skip("jumps out of waits are left out of the sanitizers' runs")
    server = net.serve(tcp.silent)
    program = net.start([programs.BUILD / "tests/leave", server.port], stdin=subprocess.PIPE, **LIMITS)
    waiting(program, "recv")
    assert program.process.stdout.readline() == b"left\n"
    assert until(lambda: [row["CALL"] for row in ps(pid_of(program))] == ["-"]), ps(pid_of(program))


def test_stack(net):
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv:1:0:0"], **LIMITS)
    waiting(program, "recv")
    text = netdeadline("ps", "--stack", pid_of(program)).stdout.decode()
    assert re.search(r"^        0x[0-9a-f]{12} main\+0x[0-9a-f]+ \(call\)$", text, re.M), text
    assert re.search(r"recv\w*\+0x[0-9a-f]+ \(libc", text), text
    assert program.running and "TracerPid:\t0" in open(f"/proc/{pid_of(program)}/status").read()
    assert waiting(program, "recv"), "it goes on"


def test_chroot(net, other_users, tmp_path):
    """Nothing is opened in the process's own root."""
    root = tmp_path / "root"
    root.mkdir()
    server = net.serve(tcp.silent)
    code = (f"s = dial({server.port}); os.chroot({str(root)!r}); os.chdir('/');"
            f" os.setgid(65534); os.setuid(65534); print(flush=True); s.recv(1)")
    program = net.start(programs.child(code), **LIMITS)
    program.process.stdout.readline()
    assert waiting(program, "recv")["PEER"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("clock", [[], ["--time", "--monotonic", "100000"]], ids=["", "clock"])
def test_other_namespaces(net, tmp_path, clock):
    """A container's process has other numbers inside, its own files, and maybe its own clock."""
    server = net.serve(tcp.silent)
    program = net.start(["unshare", "--pid", "--mount", *clock, "--fork", "--kill-child", CALL, at(server), "recv"], **LIMITS)

    def child():
        text = open(f"/proc/{pid_of(program)}/task/{pid_of(program)}/children").read().split()
        return int(text[0]) if text else None

    inner = until(child)
    row = until(lambda: next((row for row in ps(inner) if row["CALL"] == "recv" and row["WAITING"] != "0ms"), None))
    assert (row["PID"], row["TID"], row["LIMIT"]) == (str(inner), str(inner), "RECV=30s"), row
    assert seconds(row["WAITING"]) < 10 and 20 < seconds(row["LEFT"]) <= 30, row
    assert row["PEER"] == f"127.0.0.1:{server.port}", row


def test_deleted_library(net, tmp_path):
    """The file may be replaced or gone: the process's memory is what counts."""
    if programs.RUNTIME:
        pytest.skip("a sanitizer's runtime must be loaded first")
    copy = shutil.copy(programs.LIBRARY, tmp_path / "libnetdeadline.so")
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv"], library=False, variables={"LD_PRELOAD": copy}, RECV="30s")
    assert until(lambda: look.library_of(pid_of(program)))
    os.unlink(copy)
    assert waiting(program, "recv")["LIMIT"] == "RECV=30s"


def test_library_of_another_name(net, tmp_path):
    if programs.RUNTIME:
        pytest.skip("a sanitizer's runtime must be loaded first")
    copy = shutil.copy(programs.LIBRARY, tmp_path / "other.so")
    server = net.serve(tcp.silent)
    program = net.start([CALL, at(server), "recv"], library=False, variables={"LD_PRELOAD": copy}, RECV="30s")
    assert waiting(program, "recv", LIMIT="RECV=30s")


def test_names_are_escaped(net, tmp_path):
    server = net.serve(tcp.silent)
    name = shutil.copy(CALL, tmp_path / "a\x1b[31m")
    program = net.start([name, at(server), "recv"], **LIMITS)
    until(lambda: [row for row in ps(pid_of(program)) if row["CALL"] == "recv"])
    out = netdeadline("ps", pid_of(program)).stdout
    assert b"a\\u001b[31m" in out and all(byte == 10 or 32 <= byte < 127 for byte in out), out


def test_processes_that_end_while_they_are_looked_at(net):
    """Neither an error nor half a line, however soon they end."""
    server = net.serve(tcp.silent)
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            program = programs.Program([CALL, "sleep:1"], variables=programs.environment(**LIMITS))
            program.process.wait()

    threads = [threading.Thread(target=churn) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            result = netdeadline("ps", status=None)
            assert result.returncode == 0 and b"cannot" not in result.stderr, result
            netdeadline("stats", "--prometheus")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    program = net.start([CALL, at(server), "recv"], **LIMITS)
    pid = pid_of(program)
    waiting(program, "recv")
    racer = threading.Timer(0.05, lambda: program.signal(signal.SIGKILL))
    racer.start()
    for _ in range(60):
        result = netdeadline("ps", "--stack", pid, status=None)
        assert result.returncode in (0, 127), result
    racer.join()


def test_no_such_process():
    gone = subprocess.Popen(["true"])
    gone.wait()
    result = netdeadline("ps", gone.pid, status=127)
    assert b"there is no process" in result.stderr
    netdeadline("ps", "99999999999", status=2)
    netdeadline("ps", "--fly", status=2)


def test_without_permission(net, other_users, tmp_path):
    """Another user is told what it takes, and sees nothing."""
    command = shutil.copy(look.COMMAND, tmp_path / "netdeadline")
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        if os.stat(parent).st_uid == os.getuid() and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o011)
    program = net.start(["sleep", "30"])
    until(lambda: look.library_of(pid_of(program)))
    for verb, more in (("ps", []), ("stats", []), ("set", ["RECV=1s"])):
        result = subprocess.run([command, verb, str(pid_of(program)), *more], capture_output=True, timeout=20, user=65534, group=65534,
                                extra_groups=[])
        assert result.returncode == 125 and b"ptrace" in result.stderr, result


# Makes the process that is looked at go on when its threads are about to be listed, until one of them waits.
GOES_ON = """
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
DIR *opendir(const char *name) {
    DIR *(*next)(const char *) = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
    char path[64], call[200] = "";
    int pid = 0, end = 0;
    if (sscanf(name, "/proc/%d/task%n", &pid, &end) != 1 || !end)
        return next(name);
    kill(pid, SIGCONT);
    snprintf(path, sizeof path, "/proc/%d/syscall", pid);
    for (int i = 0, number = -1; i < 500 && number != RECVFROM; i++, usleep(10000)) {
        FILE *file = fopen(path, "r");
        if (file && fgets(call, sizeof call, file))
            sscanf(call, "%d", &number);
        if (file)
            fclose(file);
    }
    return next(name);
}
"""


@pytest.mark.skipif(bool(programs.RUNTIME), reason="the sanitizers' runtime must be the command's first library")
def test_a_process_that_becomes_another_program(net, tmp_path):
    """As env(1) does: it has no library when it is looked at first, and waits in a call of the new program's then."""
    server = net.serve(tcp.silent)
    (tmp_path / "goes_on.c").write_text(GOES_ON)
    number = {"x86_64": 45, "aarch64": 207}.get(os.uname().machine, 371)
    subprocess.run(["gcc", "-shared", "-fPIC", f"-DRECVFROM={number}", "-o", tmp_path / "goes_on.so", tmp_path / "goes_on.c"], check=True)
    program = net.start(["sh", "-c", f"kill -STOP $$; LD_PRELOAD={programs.LIBRARY} exec {CALL} {at(server)} recv"], library=False, **LIMITS)
    until(lambda: "State:\tT" in open(f"/proc/{pid_of(program)}/status").read())
    result = subprocess.run([look.COMMAND, "ps", str(pid_of(program))], capture_output=True, timeout=30,
                            env={"LD_PRELOAD": str(tmp_path / "goes_on.so")})
    rows = look.table(result.stdout.decode())
    assert [(row["PROGRAM"], row["CALL"], row["LIMIT"]) for row in rows] == [("call", "recv", "RECV=30s")], (rows, result)
