"""Well-known preloaded libraries beside this one, in both orders: what a program does is what it does with the other one alone, and
silences end."""

import glob

import pytest

import programs
from faults import tcp

# Name: the library's file, and the variables that it wants.
OTHERS = {
    "torsocks": ("torsocks/libtorsocks.so", {"TORSOCKS_ALLOW_INBOUND": "1", "TORSOCKS_CONF_FILE": "{torsocks.conf}", "TORSOCKS_LOG_LEVEL": "1"}),
    "proxychains": ("libproxychains*.so*", {"PROXYCHAINS_CONF_FILE": "{proxychains.conf}", "PROXYCHAINS_QUIET_MODE": "1"}),
    "tsocks": ("libtsocks.so*", {}),
    "faketime": ("faketime/libfaketimeMT.so.1", {"FAKETIME": "2020-12-24 20:30:00"}),
    "socket_wrapper": ("libsocket_wrapper.so*", {}),
    "nss_wrapper": ("libnss_wrapper.so*", {"NSS_WRAPPER_HOSTS": "{hosts}"}),
    "trickle": ("trickle/trickle-overload.so", {"TRICKLE_DOWNLOAD_LIMIT": "900", "TRICKLE_UPLOAD_LIMIT": "900", "TRICKLE_VERBOSE": "0",
                                                "TRICKLE_WINDOW_SIZE": "200", "TRICKLE_ARGV": "program", "TRICKLE_SOCKNAME": "",
                                                "TRICKLE_TSMOOTH": "3.0", "TRICKLE_LSMOOTH": "20"}),
    "keepalive": ("libkeepalive.so*", {"KEEPIDLE": "50"}),
    "authbind": ("authbind/libauthbind.so.1", {"AUTHBIND_LIB": "{authbind}"}),
    "fakeroot": ("libfakeroot/libfakeroot-sysv.so", {}),
    "eatmydata": ("libeatmydata.so*", {}),
    "snoopy": ("libsnoopy.so*", {}),
    "jemalloc": ("libjemalloc.so*", {}),
    "tcmalloc": ("libtcmalloc_minimal.so*", {}),
    "stdbuf": ("coreutils/libstdbuf.so", {"_STDBUF_O": "0"}),
    "uid_wrapper": ("libuid_wrapper.so*", {"UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1"}),
    "resolv_wrapper": ("libresolv_wrapper.so*", {"RESOLV_WRAPPER_CONF": "/etc/resolv.conf"}),
    "mptcpize": ("mptcpize/libmptcpwrap.so*", {}),
    "fakechroot": ("fakechroot/libfakechroot.so", {"FAKECHROOT": "true"}),
    "mimalloc": ("libmimalloc.so*", {}),
    "libtsan": ("gcc/*/*/libtsan.so", {}),
}
# These take their functions from libc itself, past what stands behind them: their sockets are not seen there.
PAST_OTHERS = {"torsocks", "socket_wrapper"}
FILES = {
    "torsocks.conf": "AllowOutboundLocalhost 2\n",
    "proxychains.conf": "strict_chain\nlocalnet 127.0.0.0/255.0.0.0\n[ProxyList]\nsocks5 127.0.0.1 9\n",
    "hosts": "127.0.0.1 echo.test\n",
}


def file_of(name):
    pattern = OTHERS[name][0]
    for directory in ("/usr/lib/*-linux-gnu", "/usr/lib", "/usr/lib64", "/usr/libexec"):
        if found := sorted(glob.glob(f"{directory}/{pattern}")):
            return found[0]
    pytest.skip(f"{name} is not installed")


@pytest.fixture
def beside(net, tmp_path):
    """beside(name, order, argv, **limits): a run with another library; the order is "alone", "before" or "behind"."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    paths = {f"{{{name}}}": str(tmp_path / name) for name in FILES}

    def run(name, order, argv, **limits):
        other, variables = file_of(name), {key: paths.get(value, value) for key, value in OTHERS[name][1].items()}
        lists = {"alone": [other], "before": [other, programs.LIBRARY], "behind": [programs.LIBRARY, other]}
        return net.run(argv, variables={**variables, "LD_PRELOAD": ":".join(map(str, lists[order]))}, **limits)

    return run


EXCHANGE = """
def talk():
    out = [error(lambda: socket.getaddrinfo("echo.test", int(sys.argv[1]), socket.AF_INET, socket.SOCK_STREAM)[0][4][0]),
           error(socket.gethostbyname, "echo.test")]
    with dial() as s:
        s.sendall(b"hello")
        out += [s.recv(5), len(ready("poll", s, select.POLLIN, .05)), s.getpeername() == ("127.0.0.1", int(sys.argv[1]))]
        s.setblocking(False)
        s.send(b"again")
        out += [len(ready("epoll", s, select.POLLIN, 9)), s.recv(5)]
    return out
first = talk()
threads = [threading.Thread(target=lambda: results.append(talk())) for _ in range(6)]
results = []
for t in threads: t.start()
for t in threads: t.join()
print(first, all(r == first for r in results))
if pid := os.fork(): os.waitpid(pid, 0)
else: print(talk(), flush=True); os._exit(0)
"""


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime comes first")
@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize("name", OTHERS)
def test_exchange(net, beside, name, order):
    net.names({"echo.test": ["127.0.0.1"]})
    server = net.serve(tcp.echo)
    argv = [*programs.child(EXCHANGE), server.port]
    alone = beside(name, "alone", argv)
    if alone.status != 0 or b"'hello'" not in alone.out:
        pytest.skip(f"{name} alone does not work here: {alone.text[-300:]}")
    for limits in {}, {"RECV": "9s", "SEND": "9s", "IDLE": "9s", "LIFETIME": "1m"}:
        both = beside(name, order, argv, **limits)
        assert (both.status, both.out, both.err) == (alone.status, alone.out, alone.err), (limits, alone, both)


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime comes first")
@pytest.mark.parametrize("order", ["before", "behind"])
@pytest.mark.parametrize("name", OTHERS)
def test_silence(net, beside, name, order):
    if order == "before" and name in PAST_OTHERS:
        pytest.skip("nothing is bounded there (libnetdeadline(7))")
    server = net.serve(tcp.silent)
    silence = """
for how in "recv", "poll", "epoll":
    s = dial()
    if how != "recv":
        p = getattr(select, how)()
        p.register(s, select.POLLIN)
        p.poll()
    print(how, error(s.recv, 1))
"""
    result = beside(name, order, [*programs.child(silence), server.port], RECV="1s")
    if b"Refused" in result.err:
        pytest.skip(f"{name} makes no connection here")
    assert (result.status, result.out) == (0, b"recv ETIMEDOUT\npoll ETIMEDOUT\nepoll ETIMEDOUT\n"), result
