"""Real programs under `netdeadline guard`, which runs since after they have begun to wait: runtimes of other kinds, and a library that is
loaded past every preload."""

import pytest

import programs
from faults import good, tcp, tls
from guards import client, guarding, needs_go, plain  # noqa: F401
from look import pid_of, until

PHP = """$c = curl_init($argv[1]); curl_setopt($c, CURLOPT_RETURNTRANSFER, 1); $got = curl_exec($c); echo $got === false ? curl_error($c) : "answered", "\\n";"""
NODE = """const [url] = process.argv.slice(1);
require("http").get(url, answer => answer.resume().on("end", () => console.log("answered"))).on("error", error => console.log(error.code));"""
JAVA = """try {{ s = new java.net.Socket("127.0.0.1", {port}); s.getOutputStream().write("GET / HTTP/1.0\\r\\n\\r\\n".getBytes());
print(s.getInputStream().read() >= 0 ? "answered" : "end of file"); }} catch (java.io.IOException e) {{ print(e.getMessage()); }}"""


def php(url, port, path):
    return [programs.need("php"), "-r", PHP, url]


def node(url, port, path):
    return [programs.need("node"), "-e", NODE, url]


def java(url, port, path):
    (path / "ask.bsh").write_text(JAVA.format(port=port))
    return [programs.need("bsh"), path / "ask.bsh"]


def liburing(url, port, path):
    return [programs.need(programs.BUILD / "tests/liburing"), port]


# With what each says of a connection that was ended.
ASKING = {"PHP's curl": (php, "reset"), "Node": (node, "ECONNRESET"), "Java": (java, "reset"), "io_uring": (liburing, "")}


@pytest.mark.parametrize("command, says", ASKING.values(), ids=ASKING)
def test_an_answer_that_never_comes(net, tmp_path, command, says):
    server = net.serve(tcp.silent)
    program = net.start(command(f"http://127.0.0.1:{server.port}/", server.port, tmp_path), library=False)
    assert until(lambda: server.accepted or not program.running, patience=20)
    with guarding(pid_of(program), recv="1s") as told:
        result = program.finish(20)
    if result.status == 77:
        pytest.skip("there is no io_uring here")
    assert says in result.text and "answered" not in result.text and "end of file" not in result.text.lower(), result
    assert [row["limit"] for row in told] == ["RECV"] and told[0]["elapsed"] < 2.5, told


@pytest.mark.parametrize("command", [command for command, _ in ASKING.values()], ids=ASKING)
def test_a_late_answer(net, tmp_path, command):
    server = net.serve(tcp.after(1, good.http()))
    program = net.start(command(f"http://127.0.0.1:{server.port}/", server.port, tmp_path), library=False)
    with guarding(pid_of(program), recv="2s") as told:
        result = program.finish(20)
    if result.status == 77:
        pytest.skip("there is no io_uring here")
    assert "answered" in result.text and not told, (result, told)


PERL = """use IO::Socket; my $s = IO::Socket::INET->new("127.0.0.1:$ARGV[0]"); $SIG{PIPE} = "IGNORE";
for my $pause (2.2, 0.2, 0) { syswrite($s, "x\n") or die "$!\n"; select(undef, undef, undef, $pause) } print "written\n";"""
WRITING_PHP = """$s = fsockopen("127.0.0.1", $argv[1]);
foreach ([2200000, 200000, 0] as $pause) { if (@fwrite($s, "x\n") === false) exit("cut\n"); usleep($pause); } echo "written\n";"""
WRITING_JAVA = """try {{ o = new java.net.Socket("127.0.0.1", {port}).getOutputStream();
for (int pause: new int[] {{2200, 200, 0}}) {{ o.write("x\\n".getBytes()); Thread.sleep(pause); }} print("written"); }} catch (java.io.IOException e) {{ print(e.getMessage()); }}"""
# It waits, in a thread of its own, for another connection, by an epoll set that it also has.
PYTHON = """s, other = dial(), dial()
threading.Thread(target=epoll_in, args=(other,), kwargs={"timeout": 10}, daemon=True).start()
for pause in (2.2, 0.2, 0): s.sendall(b"x\\n"); time.sleep(pause)
print("written", flush=True); os._exit(0)"""


# Programs that send lines now and then, and read nothing.
WRITING = {"C": lambda port, plain, path: [plain, "write", port], "Perl": lambda port, plain, path: [programs.need("perl"), "-e", PERL, port],
           "PHP": lambda port, plain, path: [programs.need("php"), "-r", WRITING_PHP, port], "Python": lambda port, plain, path: programs.child(PYTHON, port),
           "Java": lambda port, plain, path: [programs.need("bsh"), path / "write.bsh"]}


def test_who_only_writes_waits_for_nothing(net, plain, tmp_path):  # noqa: F811
    server = net.serve(tcp.draining)
    (tmp_path / "write.bsh").write_text(WRITING_JAVA.format(port=server.port))
    started = [net.start(command(server.port, plain, tmp_path), library=False) for command in WRITING.values()]
    with guarding(*map(pid_of, started), recv="1s") as told:
        results = [program.finish(20) for program in started]
    assert all("written" in result.text for result in results) and not told, (results, told)


def test_a_child_waits_for_what_its_parent_has_asked(net):
    server = net.serve(tcp.silent)
    program = net.start([programs.need("bash"), "-c", f"exec 3<>/dev/tcp/127.0.0.1/{server.port}; echo x >&3; cat <&3; echo $?"], library=False)
    with guarding(pid_of(program), recv="1s") as told:
        result = program.finish(10)
    assert b"1\n" in result.out and [row["limit"] for row in told] == ["RECV"] and told[0]["elapsed"] < 1.6, (result, told)


@needs_go
def test_a_close_behind_a_stuck_write(net, client):  # noqa: F811
    """crypto/tls sends the end of a connection behind the write that waits for a host which is gone."""
    server = net.serve(tls.over_tls(tcp.draining))
    net.do("sysctl", "-qw", "net.ipv4.tcp_wmem=4096 16384 65536")
    program = net.start([client, "half", f"127.0.0.1:{server.port}", "300ms"], library=False)
    with guarding(pid_of(program), unacked="2s") as told:
        assert program.process.stdout.readline() == b"connected\n"
        net.drop(f"tcp dport {server.port}")
        result = program.finish(10)
    assert not result.cut and result.out.startswith(b"written write tcp") and [row["limit"] for row in told] == ["UNACKED"], (result, told)
