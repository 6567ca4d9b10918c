"""`netdeadline config` and `netdeadline unit`."""

import os
import shutil
import subprocess

import pytest

import programs

COMMAND = programs.BUILD / "netdeadline"


def run(*arguments, **variables):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NETDEADLINE_", "LD_PRELOAD"))}
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=30, env={**env, **variables, "LC_ALL": "C"},
                          stdin=subprocess.DEVNULL)


@pytest.fixture
def config(tmp_path):
    def write(text):
        (tmp_path / "c").write_text(text)
        return str(tmp_path / "c")
    return write


def explained(result, status=0):
    """{setting: (value, where it comes from)}"""
    assert result.returncode == status, result
    return {line.split()[0]: tuple(line.split()[1:]) for line in result.stdout.splitlines()[1:]}


def test_check_of_a_good_file(config):
    result = run("config", "--check", config("RECV = 1s\n[program a destination b.test]\nRESOLVE = 1s\n"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_names_each_mistake(config):
    path = config("RECV = 1 s\n[program a]\nFOO = 1\n[destination 1.2.3]\n[program b]\nCONNECT = \x1b[m\n")
    result = run("config", "--check", path)
    assert result.returncode == 1 and result.stderr == ""
    assert result.stdout.splitlines() == [
        f'{path}:1: "1 s" is not a duration such as 250ms, 3s or 1m30s, or off',
        f'{path}:3: "FOO" is not a setting',
        f'{path}:4: "1.2.3" is not an address',
        f'{path}:6: "\\u001b[m" is not a duration such as 250ms, 3s or 1m30s, or off']


def test_check_without_a_file_name(config, tmp_path):
    assert run("config", "--check", NETDEADLINE_CONFIG=config("FOO = 1\n")).returncode == 1
    assert run("config", "--check", str(tmp_path / "none")).returncode == 127
    result = run("config", "--check", str(tmp_path))
    assert result.returncode == 125 and "not a regular file" in result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [[], ["--fly"], ["--check", "a", "b"], ["--check", "--inbound"],
                                       ["--check", "--file", "a"], ["--check", "--explain"], ["--explain"], ["--explain", "curl"],
                                       ["--explain", "curl", "10.0.0.0/8"], ["--explain", "curl", "*"], ["--explain", "curl", "h:0"],
                                       ["--explain", "--fly", "curl", "h"], ["--explain", "curl", "h", "x"]])
def test_wrong_usage(arguments):
    result = run("config", *arguments)
    assert result.returncode == 2 and result.stdout == "" and result.stderr, result


def test_explain_tells_value_and_origin(config):
    path = config("RECV = 1s\nUNACKED = 9s\n[program curl]\nSEND = 2s\n[destination 10.0.0.0/8]\nRECV = 3s\nCONNECT = 4s\n"
                  "[destination 10.1.2.3:443]\nRECV = 5s\n")
    rows = explained(run("config", "--explain", "--file", path, "/usr/bin/curl", "10.1.2.3:443", NETDEADLINE_CONNECT="6s"))
    assert rows["RECV"] == ("5s", f"{path}:9")
    assert rows["SEND"] == ("2s", f"{path}:4")
    assert rows["CONNECT"] == ("6s", "NETDEADLINE_CONNECT")
    assert rows["UNACKED"] == ("9s", f"{path}:2")
    assert rows["RESOLVE"] == ("15s", "default")
    assert explained(run("config", "--explain", "--file", path, "wget", "10.1.2.3:80"))["RECV"] == ("3s", f"{path}:6")
    assert explained(run("config", "--explain", "--file", path, "wget", "[2001:db8::1]:80"))["RECV"] == ("1s", f"{path}:1")
    inbound = explained(run("config", "--explain", "--inbound", "--file", path, "wget", "10.1.2.3"))
    assert inbound["INBOUND_UNACKED"] == ("9s", f"{path}:2") and "RECV" not in inbound


def test_explain_host_names(config):
    path = config("[destination localhost]\nRECV = 1s\nRESOLVE=2s\n[destination *.invalid:5432]\nRECV = 3s\n[destination unix:/run/x]\nRECV=4s\n")
    result = run("config", "--explain", "--file", path, "psql", "localhost:5432")
    assert "here)" in result.stdout.splitlines()[0]
    assert explained(result)["RECV"] == ("1s", f"{path}:2") and explained(result)["RESOLVE"] == ("2s", f"{path}:3")
    assert explained(run("config", "--explain", "--file", path, "psql", "db.invalid:5432"))["RECV"] == ("3s", f"{path}:5")
    assert explained(run("config", "--explain", "--file", path, "psql", "unix:/run/x"))["RECV"] == ("4s", f"{path}:7")


def test_explain_programs_that_pass(config):
    path = config("RECV = 1s\nSKIP = a\nSKIP = curl\n")
    result = run("config", "--explain", "--file", path, "curl", "10.0.0.1")
    assert result.stdout.splitlines()[1] == f"it runs as without the library: SKIP names it ({path}:3)"
    result = run("config", "--explain", "--file", path, "x", "10.0.0.1", NETDEADLINE_ONLY="y")
    assert result.stdout.splitlines()[1] == "it runs as without the library: ONLY does not name it (NETDEADLINE_ONLY)"


def test_explain_with_mistakes_in_the_file(config):
    path = config("FOO = 1\nRECV = 1s\n")
    result = run("config", "--explain", "--file", path, "curl", "10.0.0.1")
    assert result.stderr == f'{path}:1: "FOO" is not a setting\n' and explained(result, 1)["RECV"][0] == "1s"


def test_explain_agrees_with_the_library(config, tmp_path):
    """What a process does is what was explained."""
    import socket
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    path = config(f"RECV = 9s\n[destination 127.0.0.0/8]\nRECV = 8s\n[destination localhost:{port}]\nRECV = 300ms\n")
    assert explained(run("config", "--explain", "--file", path, "python3", f"localhost:{port}"))["RECV"][0] == "300ms"
    code = f"s = socket.create_connection(('localhost', {port}))\nprint(error(s.recv, 1))"
    result = programs.run(programs.child(code), CONFIG=path, LOG="stderr")
    assert result.out == b"ETIMEDOUT\n" and b"timeout=300ms" in result.err, result
    listener.close()


def unit(*arguments):
    result = run("unit", *arguments)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def test_unit_sets_the_library_and_the_options():
    text = unit("--recv", "30s", "--log", '/var/log/a "b" %h\nUser=c', "nginx.service")
    assert f'Environment="LD_PRELOAD={programs.LIBRARY}"' in text and 'Environment="NETDEADLINE_RECV=30s"' in text
    assert r'Environment="NETDEADLINE_LOG=/var/log/a \"b\" %%h\x0aUser=c"' in text
    assert "nginx.service.d" in text and "nginx.service.service" not in text


def test_unit_guards_from_outside():
    text = unit("--guard", "--recv", "30s", "--statsd", "127.0.0.1:8125", r"a\x2db@1.service")
    assert rf'ExecStart="{programs.BUILD}/netdeadline" guard --unit "a\\x2db@1.service"' in text and 'Environment="NETDEADLINE_RECV=30s"' in text
    assert r"PartOf=a\x2db@1.service" in text and r"netdeadline-guard-a\x2db@1.service, by" in text and "LD_PRELOAD" not in text


@pytest.mark.parametrize("arguments", [[], ["--guard"], ["a", "b"], ["--recv", "x", "nginx"], ["--fly", "1", "nginx"], ["a b"], ["../x"], [""]])
def test_unit_wrong_usage(arguments):
    result = run("unit", *arguments)
    assert result.returncode == 2 and result.stdout == "", result


def verify(path):
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, timeout=60)
    return [line for line in result.stderr.splitlines() if "netdeadline" in line or path.name in line or str(path.parent) in line]


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


@needs_systemd
def test_unit_is_one_for_systemd(tmp_path):
    """The drop-in, on a service of ours, is what systemd reads without a word."""
    (tmp_path / "x.service").write_text("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n")
    directory = tmp_path / "x.service.d"
    directory.mkdir()
    (directory / "netdeadline.conf").write_text(unit("--recv", "30s", "--log", '/var/log/a "b" %h', "x"))
    assert verify(tmp_path / "x.service") == []
    (directory / "netdeadline.conf").write_text("[Service]\nNonsense=1\n")
    assert "Nonsense" in verify(tmp_path / "x.service")[0]


@needs_systemd
def test_unit_of_a_guard_is_one_for_systemd(tmp_path):
    (tmp_path / "x.service").write_text("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n")
    path = tmp_path / "netdeadline-guard-x.service"
    path.write_text(unit("--guard", "--recv", "30s", "--log", '/var/log/a "b" %h', "x"))
    assert verify(path) == []
    path.write_text(path.read_text().replace(str(programs.BUILD), "/nowhere"))
    assert "/nowhere" in verify(path)[0]
