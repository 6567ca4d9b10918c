"""Every entry point of name lookup ends at RESOLVE, and says so, when the name server never answers."""

import pytest

import look
import programs
from faults import Zone, dns

PYTHON = """
answer, entry, pointer, error = ctypes.create_string_buffer(1024), ctypes.create_string_buffer(64), ctypes.c_void_p(), ctypes.c_int()
address, state = socket.inet_aton("192.0.2.9"), ctypes.create_string_buffer(1024)
libc.gethostbyname.restype = libc.gethostbyname2.restype = libc.gethostbyaddr.restype = ctypes.c_void_p
libc.__res_ninit(state)
query = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4host\\4test\\0\\0\\1\\0\\1"
more = (entry, answer, ctypes.c_size_t(1024), ctypes.byref(pointer), ctypes.byref(error))
CALLS = {
    "gethostbyname": lambda: libc.gethostbyname(b"host.test"),
    "gethostbyname2": lambda: libc.gethostbyname2(b"host.test", socket.AF_INET6),
    "gethostbyname_r": lambda: libc.gethostbyname_r(b"host.test", *more) and pointer.value,
    "gethostbyname2_r": lambda: libc.gethostbyname2_r(b"host.test", socket.AF_INET6, *more) and pointer.value,
    "gethostbyaddr": lambda: libc.gethostbyaddr(address, 4, socket.AF_INET),
    "gethostbyaddr_r": lambda: libc.gethostbyaddr_r(address, 4, socket.AF_INET, *more) and pointer.value,
    "res_query": lambda: libc.res_query(b"host.test", 1, 1, answer, 1024),
    "res_search": lambda: libc.res_search(b"host.test", 1, 1, answer, 1024),
    "res_querydomain": lambda: libc.res_querydomain(b"host", b"test", 1, 1, answer, 1024),
    "res_nquery": lambda: libc.res_nquery(state, b"host.test", 1, 1, answer, 1024),
    "res_nsearch": lambda: libc.res_nsearch(state, b"host.test", 1, 1, answer, 1024),
    "res_nquerydomain": lambda: libc.res_nquerydomain(state, b"host", b"test", 1, 1, answer, 1024),
    "res_send": lambda: libc.res_send(query, len(query), answer, 1024),
    "res_nsend": lambda: libc.res_nsend(state, query, len(query), answer, 1024),
    "__res_nsearch": lambda: libc["__res_nsearch"](state, b"host.test", 1, 1, answer, 1024),
    "__res_search": lambda: libc["__res_search"](b"host.test", 1, 1, answer, 1024),
    "__res_nsend": lambda: libc["__res_nsend"](state, query, len(query), answer, 1024),
    "__res_nquery": lambda: libc["__res_nquery"](state, b"host.test", 1, 1, answer, 1024),
}
began = time.monotonic()
result = CALLS[sys.argv[1]]()
print(time.monotonic() - began, result, bytes(answer[:result])[-4:].hex() if isinstance(result, int) and 0 < result < 1024 else "")
"""

RES_CALLS = ["res_query", "res_search", "res_querydomain", "res_send", "res_nquery", "res_nsearch", "res_nquerydomain", "res_nsend",
             "__res_search", "__res_nquery", "__res_nsearch", "__res_nsend"]
CALLS = ["gethostbyname", "gethostbyname2", "gethostbyname_r", "gethostbyname2_r", "gethostbyaddr", "gethostbyaddr_r", *RES_CALLS]
SERVERS = {"silent": (dns.silent, None), "truncated and silent": (dns.truncating, dns.silent)}


def check_ended(net, call, resolv="", **variables):
    log = net.directory / "log"
    net.etc("resolv.conf", "nameserver 127.0.0.1\n" + resolv)
    result = net.run(programs.child(PYTHON, call), variables=variables, RESOLVE="300ms", LOG=str(log))
    assert result.status == 0, result
    took, value = result.out.decode().split()[:2]
    assert 0.3 <= float(took) < 1.5 and value in ("None", "-1", "0"), result
    assert f"operation={call.lstrip('_')} " in log.read_text() and "limit=RESOLVE" in log.read_text()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("call", CALLS)
def test_dead_server(net, call, server):
    net.dns(*SERVERS[server])
    check_ended(net, call)


SEARCHES = [call for call in RES_CALLS if call.endswith("search")]
SHORT = PYTHON.replace('(b"host.test"', '(b"host"').replace('(state, b"host.test"', '(state, b"host"')


@pytest.mark.parametrize("call", SEARCHES)
def test_dead_server_and_what_only_libc_can_do(net, tmp_path, monkeypatch, call):
    """With HOSTALIASES libc itself searches for a name without dots, in a thread that its caller leaves."""
    net.dns(dns.truncating, dns.silent)
    monkeypatch.setitem(globals(), "PYTHON", SHORT)
    check_ended(net, call, HOSTALIASES=str(tmp_path / "aliases"))


def answer_of(net, call, **options):
    result = net.run(programs.child(PYTHON, call), RESOLVE="5s", **options)
    assert result.status == 0, result
    return result.out.split()[1:]


@pytest.mark.parametrize("call", SEARCHES)
def test_answers_of_libc_come_through(net, tmp_path, monkeypatch, call):
    net.names({"host.test": ["192.0.2.7"]})
    net.etc("resolv.conf", "nameserver 127.0.0.1\nsearch test\n")
    monkeypatch.setitem(globals(), "PYTHON", SHORT)
    variables = {"HOSTALIASES": str(tmp_path / "aliases")}
    given = answer_of(net, call, variables=variables)
    assert given == answer_of(net, call.lstrip("_"), library=False, variables=variables)
    assert given[1] == b"c0000207"


def test_host_aliases(net, tmp_path):
    net.names({"host.test": ["192.0.2.7"]})
    (tmp_path / "aliases").write_text("short host.test\n")
    ask = PYTHON.replace('libc.res_search(b"host.test"', 'libc.res_search(b"short"')
    result = net.run(programs.child(ask, "res_search"), variables={"HOSTALIASES": str(tmp_path / "aliases")})
    assert result.out.split()[2] == b"c0000207", result


@pytest.mark.parametrize("call", ["res_send", "res_nsend"])
def test_no_aaaa_in_a_packet_of_the_programs_own(net, monkeypatch, call):
    """libc asks for A instead, to know whether the name exists, and gives no address."""
    net.names({"host.test": ["192.0.2.7", "2001:db8::7"]})
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions no-aaaa\n")
    monkeypatch.setitem(globals(), "PYTHON", PYTHON.replace(r"test\0\0\1\0\1", r"test\0\0\34\0\1"))
    given = answer_of(net, call)
    assert given == [b"27", b"001c0001"] and given == answer_of(net, call, library=False)


@pytest.mark.parametrize("call", ["res_send", "res_nsend"])
def test_dead_server_and_no_aaaa(net, call):
    net.dns(dns.truncating, dns.silent)
    check_ended(net, call, "options no-aaaa\n")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("argv", [["getent", "hosts", "host.test"], ["getent", "ahostsv4", "host.test"],
                                  ["perl", "-e", 'exit(defined gethostbyname("host.test") ? 0 : 2)'],
                                  [programs.PYTHON, "-c", 'import socket; socket.getfqdn("192.0.2.9")'
                                                          '; socket.gethostbyname_ex("host.test")']])
def test_programs(net, argv, server):
    net.dns(*SERVERS[server])
    result = net.run(argv, RESOLVE="300ms")
    assert result.status > 0 and 0.3 <= result.elapsed < 3, result


H_ERRNO = """
libc.__h_errno_location.restype = ctypes.POINTER(ctypes.c_int)
libc.gethostbyname.restype = libc.gethostbyaddr.restype = ctypes.c_void_p
answer, entry, pointer, error = ctypes.create_string_buffer(4096), ctypes.create_string_buffer(64), ctypes.c_void_p(), ctypes.c_int()
more = (entry, answer, ctypes.c_size_t(4096), ctypes.byref(pointer), ctypes.byref(error))
def infos(name, family):
    hints = (ctypes.c_int * 12)(0, family, 1)
    return libc.getaddrinfo(name, None, hints, ctypes.byref(ctypes.c_void_p()))
def address(name):
    return socket.inet_aton({b"host.test": "127.0.0.1", b"four.test": "192.0.2.9"}.get(name, "192.0.2.10"))
CALLS = [lambda name: libc.gethostbyname(name), lambda name: libc.gethostbyname_r(name, *more),
         lambda name: libc.gethostbyname2_r(name, socket.AF_INET6, *more), lambda name: infos(name, 2),
         lambda name: infos(name, 10), lambda name: libc.gethostbyaddr(address(name), 4, 2),
         lambda name: libc.gethostbyaddr_r(address(name), 4, 2, *more), lambda name: libc.res_search(name, 1, 1, answer, 4096),
         lambda name: libc.res_query(name, 1, 1, answer, 4096)]
told = []
for name in b"host.test", b"four.test", b"none.test", b"bad.test", b"localhost", b"1.2.3.4.5", b"a..b", b"1.2.3.4", b"":
    for call in CALLS:
        libc.__h_errno_location()[0], error.value = 77, 78
        call(name)
        told.append((libc.__h_errno_location()[0], error.value))
tell(told)
"""


@pytest.mark.parametrize("sources", ["files dns", "files [UNAVAIL=return] dns", "files [SUCCESS=merge] dns", "files", "dns files"])
@pytest.mark.parametrize("multi", ["on", "off"])
def test_what_is_left_in_h_errno(net, sources, multi):
    """Functions that give it elsewhere, or not at all, leave there what libc's leave. That of getaddrinfo for both families is, in libc,
    too, what the packet says that comes last."""
    healthy, failing = dns.answering(Zone({"host.test": ["192.0.2.7", "2001:db8::7"], "four.test": ["192.0.2.7"]})), dns.failing()
    net.dns(lambda question, *more: (failing if question.name == "bad.test" else healthy)(question, *more))
    net.etc("nsswitch.conf", f"hosts: {sources}\nservices: files\n")
    net.cover("/etc/host.conf", f"multi {multi}\n")
    assert net.told(H_ERRNO) == net.told(H_ERRNO, library=False)


def test_domains_that_host_conf_trims(net):
    net.etc("hosts", "127.0.0.1 localhost\n192.0.2.7 host.test\n")
    net.cover("/etc/host.conf", "multi on\ntrim .test\n")
    ask = "tell([socket.gethostbyname_ex('host.test'), socket.getnameinfo(('192.0.2.7', 0), 0), socket.gethostbyaddr('192.0.2.7')])"
    told = net.told(ask)
    assert told == net.told(ask, library=False) and told[1][0] == "host"


def test_a_module_that_is_missing(net):
    """libc takes the errno of an earlier call of the thread for the reason; the helper thread has the caller's."""
    net.etc("nsswitch.conf", "hosts: nosuch\nservices: files\n")
    ask = """
def code(*more):
    try:
        socket.getaddrinfo("host.test", None, *more)
    except OSError as error:
        return error.errno
tell([code(), code(socket.AF_INET), code(), code(socket.AF_INET)])"""
    assert net.told(ask) == net.told(ask, library=False)


def test_perl_says_why_a_name_is_not_found(net):
    net.names({"four.test": ["192.0.2.7"]})
    ask = "for ('none.test', 'four.test') { $? = 0; gethostbyname $_; print qq($?\n) }"
    assert net.run(["perl", "-e", ask]).out == net.run(["perl", "-e", ask], library=False).out == b"1\n0\n"


LOOK_UP = "for i in range(int(sys.argv[1])): print(socket.gethostbyname(f'n{i}.test'))"


def servers(net, responders, options=""):
    """Name servers in their order, and a resolv.conf with them."""
    hosts = [f"127.0.0.{number}" for number in range(1, len(responders) + 1)]
    net.etc("resolv.conf", "".join(f"nameserver {host}\n" for host in hosts) + options)
    return [net.dns(responder, host=host) for responder, host in zip(responders, hosts)]


def healthy(question, send, stop):
    dns.answering(dns.Zone({question.name: ["192.0.2.7"]}))(question, send, stop)


def test_servers_in_their_order(net):
    """The second one is not asked while the first one answers; with rotate each takes its share."""
    first, second, third = servers(net, [healthy] * 3)
    assert net.run(programs.child(LOOK_UP, 9)).status == 0
    assert [len(each.questions) for each in (first, second, third)] == [9, 0, 0]


def test_servers_in_rotation(net):
    three = servers(net, [healthy] * 3, "options rotate\n")
    assert net.run(programs.child(LOOK_UP, 9)).status == 0
    assert [len(each.questions) for each in three] == [3, 3, 3]


@pytest.mark.parametrize("options", ["", "options timeout:30 attempts:5\n", "options rotate\n"])
def test_every_server_is_asked_within_the_limit(net, options):
    three = servers(net, [dns.silent] * 3, options)
    result = net.run(programs.child(LOOK_UP, 1), RESOLVE="900ms")
    assert 0.9 <= result.elapsed < 2.5 and all(each.questions for each in three)


@pytest.mark.parametrize("dead", [dns.silent, dns.failing(dns.SERVFAIL)], ids=["silent", "failing"])
def test_a_dead_first_server_costs_a_third(net, dead):
    servers(net, [dead, healthy], "options timeout:30\n")
    result = net.run(programs.child(LOOK_UP, 1), RESOLVE="3s")
    assert result.out == b"192.0.2.7\n" and result.elapsed < 1.0 + 1.0, result


@pytest.mark.parametrize("sources", ["files", "dns files", "files dns"])
def test_a_hosts_file_that_cannot_be_read(net, other_users, sources):
    """The codes are libc's. For one family libc looks at h_errno of an earlier lookup, which is not to be had here."""
    net.etc("nsswitch.conf", f"hosts: {sources}\n")
    (net.directory / "hosts").chmod(0)
    ask = """
os.setuid(65534)
def code(family, flags=0):
    try:
        return socket.getaddrinfo("host.test", None, family, flags=flags) and 0
    except socket.gaierror as error:
        return error.errno
print(json.dumps([code(socket.AF_UNSPEC), code(socket.AF_UNSPEC, socket.AI_CANONNAME), code(socket.AF_INET)]))"""
    assert net.told(ask) == net.told(ask, library=False)


STATE = programs.BUILD / "tests/resstate"
STEPS = ["gai:host.test", "host:host.test", "query:host.test", "init", "search:host", "ninit", "nquery:host.test"]


@pytest.mark.parametrize("sources", ["files dns", "nosuch dns"], ids=["ours", "libc's"])
@pytest.mark.parametrize("error, code, h_errno", [("again", "-3", "2"), ("fail", "-4", "3")])
def test_what_an_expired_lookup_says(net, error, code, h_errno, sources):
    net.dns(dns.silent)
    net.etc("nsswitch.conf", f"hosts: {sources}\n")
    result = net.run([STATE, *STEPS], RESOLVE="100ms", RESOLVE_ERROR=error)
    assert [line.split()[-1] for line in result.text.splitlines()] == [code] + [h_errno] * 4, result


def test_what_an_expired_lookup_says_where_it_does_not_expire(net):
    """A failure of the server's is none of the deadline's."""
    net.dns(dns.failing(dns.SERVFAIL))
    net.etc("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")
    result = net.run([STATE, *STEPS], RESOLVE_ERROR="fail")
    assert [line.split()[-1] for line in result.text.splitlines()] == ["-3"] + ["2"] * 4, result


def test_the_reentrant_calls_of_an_expired_lookup(net):
    """h_errno is in an argument, and the entry is not there."""
    net.dns(dns.silent)
    ask = PYTHON.replace("print(time", "print(error.value, pointer.value, time")
    for call in "gethostbyname_r", "gethostbyname2_r", "gethostbyaddr_r":
        result = net.run(programs.child(ask, call), RESOLVE="100ms", RESOLVE_ERROR="fail")
        assert result.out.split()[:2] == [b"3", b"None"], (call, result)


def test_a_name_that_expires_again_and_again(net, tmp_path):
    """From the third time on the line says so; an answer ends the row."""
    net.dns(lambda question, *rest: (dns.silent if server.sick or question.name != "host.test" else healthy)(question, *rest))
    server = net.opened[-1]
    server.sick = True
    ask = """
for step in "hhohHhgh":
    if step == "g":
        print("well", flush=True), sys.stdin.readline()
    with contextlib.suppress(OSError):
        socket.gethostbyname("other.test" if step == "o" else "Host.test" if step == "H" else "host.test")
    if step == "g":
        print("sick", flush=True), sys.stdin.readline()
time.sleep(20)"""
    program = net.start(programs.child(ask), RESOLVE="50ms", LOG=str(tmp_path / "log"), stdin=programs.subprocess.PIPE)
    for expected in b"well\n", b"sick\n":
        assert program.process.stdout.readline() == expected
        server.sick = expected == b"sick\n"
        program.process.stdin.write(b"\n")
    pid = look.pid_of(program)
    row = look.until(lambda: (row := look.stats(pid)[pid]["getaddrinfo"])["expired"] == 7 and row)  # Python's gethostbyname
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.partition(" repeated=")[2][:1] for line in lines] == ["", "", "", "3", "4", "5", ""], lines
    assert row["expired_in_a_row"] == 5


CONFIGURED = """
def found(*arguments):
    try:
        return socket.getaddrinfo(*arguments, socket.AF_INET)[0][4]
    except socket.gaierror as error:
        return error.errno
found("host.test", None)
answers = []
for line in sys.argv[1:]:
    database, _, sources = line.partition(":")
    answers.append(libc.__nss_configure_lookup(database.encode(), sources.encode()))
    answers += [found("host.test", None), found("other.test", None), found("127.0.0.1", "own-service")]
    answers.append(libc.gethostbyname(b"host.test") != 0)
print(json.dumps(answers))
"""


@pytest.mark.parametrize("lines", [["hosts:files"], ["hosts:dns"], ["hosts:dns files", "hosts: files", "hosts:files dns"],
                                   ["hosts:nosuch files"], ["services:nosuch"], ["services:files", "nosuch:files"]])
def test_sources_that_the_program_names(net, lines):
    """As `getent -s hosts:files` does."""
    net.etc("hosts", "192.0.2.1 host.test\n")
    net.cover("/etc/services", "own-service 4711/tcp\n")
    net.names({"host.test": ["192.0.2.2"], "other.test": ["192.0.2.3"]})
    assert net.told(CONFIGURED, *lines) == net.told(CONFIGURED, *lines, library=False)


SORTED_ANEW = """
for line in ["reload yes", "precedence ::ffff:0:0/96 100", "reload yes", "precedence 2001:db8::/32 7", ""]:
    time.sleep(0.02)  # the clock of time stamps may stand still for some milliseconds
    open("/etc/gai.conf", "w").write(line + "\\n")
    print(socket.getaddrinfo("host.test", 80, type=socket.SOCK_STREAM)[0][4][0])
"""


@pytest.mark.parametrize("first", ["reload yes", "reload no"])
def test_addresses_are_sorted_by_a_gai_conf_that_changes(net, first):
    net.names({"host.test": ["192.0.2.7", "2001:db8::7"]})
    net.cover("/etc/gai.conf", "")
    ask = SORTED_ANEW.replace("reload yes", first, 1)
    result = net.run(programs.child(ask), LOG="stderr")
    assert result.out.split() == net.run(programs.child(ask), library=False).out.split()
    assert len(set(result.out.split())) == (2 if first == "reload yes" else 1) and not result.err, result
