"""The config file in the library: which limit a connection has."""

import json
import os
import shutil
import socket

import pytest

import programs
import tlscalls
from calls import CALL, LATEST, LIMIT, at, finish, make, start
from faults import dns, good, tcp, tls

MS = f"{LIMIT}ms"


@pytest.fixture
def config(tmp_path):
    """config(TEXT): writes the file, and gives the variable that names it."""
    def write(text, name="netdeadline.conf"):
        (tmp_path / name).write_text(text)
        return {"CONFIG": str(tmp_path / name)}
    return write


def test_defaults_and_programs(net, config):
    server = net.serve(tcp.silent)
    make(net, at(server), "recv", **config(f"RECV = {MS}\n"))[1].expect_expired()
    make(net, at(server), "recv", **config(f"RECV = 9s\n[program call]\nRECV = {MS}\n"))[1].expect_expired()
    make(net, at(server), "recv", **config(f"RECV = {MS}\n[program other]\nRECV = 9s\n"))[1].expect_expired()


def test_environment_beats_the_file(net, config):
    server = net.serve(tcp.silent)
    make(net, at(server), "recv", RECV=MS, **config("RECV = 9s\n[destination 127.0.0.1]\nRECV = 8s\n"))[1].expect_expired()


@pytest.mark.parametrize("where", ["127.0.0.1", "127.0.0.0/8", "*:{port}", ":{port}", "127.0.0.1:{port}", "10.0.0.1 127.0.0.1"])
def test_destination(net, config, where):
    server = net.serve(tcp.silent)
    other = net.serve(tcp.greeting(b"x"))
    text = f"RECV = 9s\n[destination {where.format(port=server.port)}]\nRECV = {MS}\n"
    make(net, at(server), "recv", **config(text))[1].expect_expired()
    assert make(net, at(other), "recv", **config(text))[1].result == 1


def test_destination_that_is_another(net, config):
    """A section for someone else changes nothing."""
    server = net.serve(tcp.silent)
    text = f"RECV = {MS}\n[destination 127.0.0.2 127.0.0.1:{server.port + 1} 128.0.0.0/1 unix:/x db.test]\nRECV = 9s\n"
    make(net, at(server), "recv", **config(text))[1].expect_expired()


def test_connect_to_a_destination(net, config):
    host = net.blackhole()
    make(net, f"connect:{host}:80", **config(f"CONNECT = 9s\n[destination {host}:80]\nCONNECT = {MS}\n"))[0].expect_expired()


@pytest.mark.parametrize("library", ["openssl", "own", "gnutls"])
def test_handshake_with_a_destination(net, config, library):
    """Also through a transport of the program's own, whose socket has to be found."""
    server = net.serve(tcp.silent)
    text = f"TLS_HANDSHAKE = {{}}\n[destination 127.0.0.1:{server.port}]\nTLS_HANDSHAKE = {{}}\n"
    tlscalls.make(net, library, "block", server, "handshake", **config(text.format("off", MS)))[0].expect_expired()
    late = net.serve(tcp.after(1, tls.over_tls(good.saying(b"hello"))))
    text = text.replace(str(server.port), str(late.port))
    tlscalls.make(net, library, "block", late, "handshake", **config(text.format(MS, "off")))[0].expect_done()


def test_descriptor_that_connects_elsewhere(net, config):
    """Each connect chooses anew."""
    silent = net.serve(tcp.silent)
    host = net.blackhole()
    text = f"CONNECT = {MS}\n[destination 127.0.0.1]\nRECV = {MS}\n[destination {host}]\nRECV = 9s\n"
    failed, _, recv = make(net, f"connect:{host}:80", at(silent, "again"), "recv", **config(text))
    failed.expect_expired()
    recv.expect_expired()


def test_local_socket(net, config, tmp_path):
    path = tmp_path / "socket"
    code = f"s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); print(flush=True); c = s.accept(); time.sleep(9)"
    server = net.start(programs.child(code), library=False)
    server.process.stdout.readline()
    text = f"RECV = 9s\n[destination unix:{tmp_path}/*]\nRECV = {MS}\n"
    make(net, f"connect:{path}", "recv", **config(text))[1].expect_expired()


def test_connected_datagram_socket(net, config):
    text = f"RECV = 9s\n[destination 127.0.0.1]\nRECV = {MS}\n"
    make(net, "udp:127.0.0.1:9999", "recv", **config(text))[1].expect_expired()


ECHO = """
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
connection = listener.accept()[0]
tell(timed(lambda: error(connection.recv, 1)))
"""


@pytest.mark.parametrize("section", ["inbound", "inbound 127.0.0.0/8", "inbound :7070", "inbound 127.0.0.1:7070", "program python3* inbound"])
def test_peers(net, config, section):
    """The port of an inbound section is the one the program listens on."""
    program = net.start(programs.child(ECHO, "7070"), **config(f"INBOUND_RECV = 9s\n[{section}]\nRECV = {MS}\n"))
    port = int(program.process.stdout.readline())
    with net.inside():
        client = socket.create_connection(("127.0.0.1", port))
    error, seconds = json.loads(program.process.stdout.readline())
    client.close()
    assert error == "ETIMEDOUT" and LIMIT <= seconds * 1000 < LIMIT + LATEST


LISTEN = """
if "LISTENER" in os.environ:
    listener = socket.socket(fileno=int(os.environ["LISTENER"]))
else:
    path = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX if path.endswith(".sock") else socket.AF_INET6 if sys.argv[2:] else socket.AF_INET)
    listener.bind(path.replace("@", "\\0") if path.endswith(".sock") else ("", int(path)))
    listener.listen()
    if "INHERIT" in os.environ:
        listener.set_inheritable(True)
        os.environ["LISTENER"] = str(listener.fileno())
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
tell(timed(lambda: error(listener.accept)))
"""


@pytest.mark.parametrize("section, argument, limit", [
    ("inbound :7070", ["7070"], LIMIT), ("inbound *:7070, :99", ["7070", "v6"], LIMIT), ("inbound *", ["7070"], LIMIT),
    ("inbound unix:@nd-*.sock", ["@nd-1.sock"], LIMIT), ("inbound :7071", ["7070"], 1000),
    ("program python3* inbound :7070", ["7070"], LIMIT), ("program ruby* inbound :7070", ["7070"], 1000)])
@pytest.mark.parametrize("inherited", [False, True], ids=["made", "inherited"])
def test_listeners(net, config, section, argument, limit, inherited):
    """ACCEPT by the port that is listened at."""
    result = net.run(programs.child(LISTEN, *argument), variables={"INHERIT": "yes"} if inherited else {},
                     **config(f"ACCEPT = {'9s' if limit == LIMIT else '1s'}\n[{section}]\nACCEPT = {MS}\n"))
    assert result.status == 0 and not result.err, result
    error, seconds = json.loads(result.out)
    assert error == "ETIMEDOUT" and limit <= seconds * 1000 < 7000, result


CLIENT = """
connection = socket.create_connection((sys.argv[2], int(sys.argv[1])))
tell(timed(lambda: error(connection.recv, 1)))
"""


@pytest.mark.parametrize("name, asked", [("db.test", "db.test"), ("DB.test.", "db.test"), ("*.test", "db.test"), ("db.test", "alias.test"),
                                         ("alias.test", "alias.test"), ("db.test", "db"), ("localhost", "localhost")])
@pytest.mark.parametrize("how", ["ours", "libc"])
def test_names(net, config, name, asked, how):
    """The address that a lookup gave is the host's: asked for by its name, by an alias, or in a search list."""
    server = net.serve(tcp.silent)
    net.names({"db.test": "127.0.0.1", "alias.test": "db.test"})
    net.etc("resolv.conf", "nameserver 127.0.0.1\nsearch test\n")
    text = f"RECV = 9s\n[destination {name}]\nRECV = {MS}\n" + ("RESOLVE = off\n" if how == "libc" else "")
    if how == "libc" and asked not in ("db.test", "localhost", name):
        pytest.skip("libc tells the canonical name only to those who ask for it")
    error, seconds = net.told(CLIENT, server.port, asked, **config(text))
    assert error == "ETIMEDOUT" and LIMIT <= seconds * 1000 < LIMIT + LATEST, (error, seconds)


def test_name_that_is_another(net, config):
    server = net.serve(tcp.silent)
    text = f"RECV = {MS}\n[destination other.test]\nRECV = 9s\n"
    assert net.told(CLIENT, server.port, "localhost", **config(text))[0] == "ETIMEDOUT"


def test_lookup_of_a_name(net, config):
    net.dns(dns.silent)
    text = f"RESOLVE = 9s\n[destination *.slow.test]\nRESOLVE = {MS}\n"
    assert net.run(["getent", "ahosts", "x.slow.test"], **config(text)).elapsed < LATEST / 1000 + 1


def test_file_of_the_host(net, tmp_path):
    server = net.serve(tcp.silent)
    etc = tmp_path / "etc"

    def ignored(directory, names):
        return [name for name in names if name in ("ssl", "alternatives") or not os.access(os.path.join(directory, name), os.R_OK)]

    shutil.copytree("/etc", etc, symlinks=True, ignore=ignored)
    (etc / "netdeadline.conf").write_text(f"RECV = {MS}\n")
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        shutil.copy(tmp_path / name, etc / name)
    net.do("mount", "--bind", etc, "/etc")
    make(net, at(server), "recv")[1].expect_expired()


@pytest.mark.parametrize("lists, bounded", [({"SKIP": "x,call"}, False), ({"SKIP": "cal"}, True), ({"ONLY": "a b"}, False),
                                            ({"ONLY": "a,c?ll"}, True), ({"ONLY": "call", "SKIP": "call"}, False)])
@pytest.mark.parametrize("place", ["environment", "file"])
def test_only_and_skip(net, config, lists, bounded, place):
    server = net.serve(tcp.silent)
    given = dict(lists) if place == "environment" else config("".join(f"{name} = {value}\n" for name, value in lists.items()))
    program = start(net, at(server), "set:rcvtimeo:900", "recv", RECV=MS, **given)
    error = finish(program)[2].errno
    assert error == ("ETIMEDOUT" if bounded else "EAGAIN")


def test_program_that_passes_says_nothing(net, config):
    result = net.run(["true"], **config("SKIP = true\nNONSENSE\n"))
    assert (result.status, result.err) == (0, b"")


def complaint(net, **limits):
    result = net.run(["true"], **limits)
    assert result.status == 0 and result.out == b"" and result.err.count(b"\n") <= 1, result
    return result.err.decode()


def test_mistakes_are_told_in_one_line(net, config):
    given = config("RECV = 1 s\nFOO = 1\n[destination 1.2.3]\nRECV = 5s\n")
    text = complaint(net, RECV="x", **given)
    for part in [f'{given["CONFIG"]}:1: "1 s" is not a duration', ':2: "FOO" is not a setting', ':3: "1.2.3" is not an address',
                 'NETDEADLINE_RECV="x" cannot be read']:
        assert part in text, text


def test_mistakes_go_to_the_log_where_there_is_one(net, config, tmp_path):
    assert complaint(net, LOG=str(tmp_path / "log"), **config("FOO = 1\n")) == ""
    assert "FOO" in (tmp_path / "log").read_text()


def test_missing_file(net):
    assert complaint(net) == ""
    assert "/none: is missing" in complaint(net, CONFIG="/none")


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_what_is_no_file(net, tmp_path, kind):
    path = tmp_path / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path = "/dev/zero"
    assert "is not a regular file" in complaint(net, CONFIG=str(path))


def test_huge_file(net, config):
    began = complaint(net, **config("RECV = 1s\n" + "x" * 900 + "\n" * 2_000_000))
    assert "neither NAME = VALUE" in began and "megabyte" in began


def test_no_descriptor_stays(net, config):
    result = net.run(["ls", "/proc/self/fd"], **config("RECV = 1s\n"))
    assert result.out == net.run(["ls", "/proc/self/fd"], library=False).out


def test_cost_without_a_file(net):
    """One system call that fails."""
    result = net.run(["strace", "-e", "trace=openat,readlinkat,readlink", "-E", f"LD_PRELOAD={programs.LIBRARY}", "true"], library=False)
    lines = [line for line in result.err.decode().splitlines() if "netdeadline.conf" in line or "readlinkat" in line]
    assert len(lines) == 1 and "ENOENT" in lines[0], result


SETUID = """
set -e
mkdir -p "$1/etc"
cp /etc/passwd /etc/nsswitch.conf /etc/hosts "$1/etc"
cp /etc/ld.so.cache "$1/etc" 2>/dev/null || true
echo "$LIBRARY" > "$1/etc/ld.so.preload"
printf 'RECV = 300ms\\n' > "$1/etc/netdeadline.conf"
chown "$OWNER" "$1/etc/netdeadline.conf"
chmod "$MODE" "$1/etc/netdeadline.conf"
mount --bind "$1/etc" /etc
shift
exec "$@"
"""


@pytest.mark.usefixtures("other_users")
@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime must be loaded first")
@pytest.mark.parametrize("owner, mode, counts", [("0", "644", True), ("0", "664", False), ("0", "646", False), ("1", "644", False)])
def test_set_uid_program(net, tmp_path, owner, mode, counts):
    """Only a file that root alone can write counts there, and no variable."""
    server = net.serve(tcp.silent)
    program = shutil.copy(CALL, tmp_path / "call")
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    (tmp_path / "own.conf").write_text("RECV = 9s\n")
    shutil.copy(programs.LIBRARY, tmp_path / "lib.so")
    for path in (tmp_path, *tmp_path.parents):
        if str(path).startswith("/tmp/"):
            os.chmod(path, 0o755)
    env = {"LIBRARY": str(tmp_path / "lib.so"), "OWNER": owner, "MODE": mode}
    result = net.run(["sh", "-c", SETUID, "sh", tmp_path, program, at(server), "set:rcvtimeo:900", "recv"], library=False,
                     variables=env, CONFIG=str(tmp_path / "own.conf"), SKIP="call", RECV="9s")
    last = result.out.decode().splitlines()[-1].split()
    assert last[0] == "recv" and last[2] == ("110" if counts else "11"), result
    assert (b"can be written by others" in result.err) == (not counts), result


def test_what_expired_lookups_say_to_one_program(net, config):
    net.dns(dns.silent)
    for section, code in ("program resstate", "-4"), ("program other", "-3"):
        result = net.run([programs.BUILD / "tests/resstate", "gai:host.test"], **config(f"RESOLVE = 100ms\n[{section}]\nRESOLVE_ERROR = fail\n"))
        assert result.out.split()[-1].decode() == code, result
