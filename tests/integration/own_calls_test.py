"""What the library calls is libc's own, whatever the program defines under the same names."""

import re
import subprocess

import pytest

import programs
from faults import tcp

# libc calls these by the search order itself (shim/own_calls.def).
SHARED = set(re.findall(r"^ND_SHARED\((\w+)\)", (programs.ROOT / "shim/own_calls.def").read_text(), re.M))
# What the start files of programs and errno refer to.
NEEDED = {"__cxa_finalize", "__gmon_start__", "__errno_location"}

MAIN = """
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *list;
    char host[NI_MAXHOST], byte;
    printf("lookup %d\\n", getaddrinfo(argv[1], argv[2], &hints, &list));
    printf("name %d\\n", getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, NULL, 0, NI_NAMEREQD));
    printf("old %d\\n", !!gethostbyname(argv[1]));
    for (int i = 0; i < 2; i++) {
        int fd = socket(list->ai_family, SOCK_STREAM, 0);
        printf("connect %d\\n", connect(fd, list->ai_addr, list->ai_addrlen));
        printf("poll %d\\n", poll(&(struct pollfd){fd, i ? POLLIN : POLLOUT, 0}, 1, -1));
        int result = recv(fd, &byte, 1, 0);
        printf("recv %d %d\\n", result, errno);
        close(fd);
    }
    return 0;
}
"""
GOOD = b"lookup 0\nname 0\nold 1\nconnect 0\npoll 1\nrecv -1 110\nconnect 0\npoll 1\nrecv -1 110\n"
LIBC_ALONE = pytest.mark.skipif(bool(programs.RUNTIME), reason="the calls of a checked build go to the sanitizer")


# What is found at the first call.
LATER = set(re.findall(r"^ND_LATER\((\w+)", (programs.ROOT / "shim/later_calls.def").read_text(), re.M))


def names_called():
    """The functions that the library refers to or finds later, without data."""
    table = subprocess.run(["readelf", "--dyn-syms", "-W", programs.LIBRARY], capture_output=True, text=True, check=True).stdout
    undefined = re.findall(r"(?:FUNC|NOTYPE) +(?:GLOBAL|WEAK) +DEFAULT +UND (\w+)", table)
    return sorted({name for name in [*undefined, *LATER] if not name.startswith("_ITM")} - SHARED - NEEDED)


def program_with(path, *names):
    """A program that has functions of its own under these names; each tells that it was called."""
    path.with_suffix(".c").write_text(MAIN)
    own = "int write(int, const void *, int);\nvoid _exit(int);\n" + "".join(
        f'void {name}(void) {{ write(1, "own {name}", {4 + len(name)}); _exit(7); }}\n' for name in names)
    (path.parent / "own.c").write_text(own)
    subprocess.run(["gcc", "-w", "-fno-builtin", "-fno-stack-protector", "-o", path, path.with_suffix(".c"), path.parent / "own.c"], check=True)
    return path


@LIBC_ALONE
@pytest.mark.parametrize("limits", [{}, {"LOG": "stderr", "IDLE": "9s"}], ids=["quiet", "told"])
def test_all_at_once(net, tmp_path, limits):
    net.names({"silent.test": ["127.0.0.1"]})
    server = net.serve(tcp.silent)
    program = program_with(tmp_path / "program", *names_called())
    result = net.run([program, "silent.test", server.port], RECV="1s", **limits)
    assert (result.status, result.out) == (0, GOOD), result


@LIBC_ALONE
def test_a_library_before_libc(net, tmp_path):
    """The same where a library of the program has them."""
    net.names({"silent.test": ["127.0.0.1"]})
    server = net.serve(tcp.silent)
    source, other = tmp_path / "other.c", tmp_path / "libother.so"
    source.write_text("".join(f"int {name}(void) {{ __builtin_trap(); }}\n" for name in ("shutdown", "rand", "uname", "gethostname", "madvise", "stat")))
    subprocess.run(["gcc", "-w", "-fno-builtin", "-shared", "-fPIC", "-o", other, source], check=True)
    program = program_with(tmp_path / "with")
    subprocess.run(["gcc", "-w", "-o", program, program.with_suffix(".c"), "-Wl,--no-as-needed", other], check=True)
    result = net.run([program, "silent.test", server.port], RECV="1s")
    assert (result.status, result.out) == (0, GOOD), result
