"""`netdeadline stats --config` and `--histogram`: what was counted, as limits to be used and as a picture."""

import subprocess

import programs
from faults import tcp
from look import netdeadline, pid_of


def talking(net, **settings):
    """A program that has waited 30 times for an answer, and goes on."""
    server = net.serve(tcp.echo)
    code = f"""
s = dial({server.port})
for i in range(30): s.send(b"x"); s.recv(1)
print(flush=True); time.sleep(60)
"""
    program = net.start(programs.child(code), stdin=subprocess.PIPE, **settings)
    program.process.stdout.readline()
    return program


def explained(file, program):
    text = netdeadline("config", "--explain", "--file", file, program, "127.0.0.1:80").stdout.decode()
    return {line.split()[0]: line.split()[1] for line in text.splitlines()[1:]}


def test_the_config_is_one_that_the_config_file_takes(net, tmp_path):
    program = talking(net, MODE="observe")
    text = netdeadline("stats", "--config", pid_of(program)).stdout.decode()
    (tmp_path / "c").write_text(text)
    assert netdeadline("config", "--check", tmp_path / "c").stdout == b""
    name = text[text.index("[program ") + 9:text.index("]")]
    assert explained(tmp_path / "c", name)["RECV"] == "1s" and "(recv 30)" in text, text
    assert explained(tmp_path / "c", "another")["RECV"] == "off"


def test_histogram_is_plain_in_a_pipe(net):
    program = talking(net, RECV="30s")
    text = netdeadline("stats", "--histogram", "recv", pid_of(program)).stdout.decode()
    assert "---------- RECV=1s would suit" in text and "---------- RECV=30s is set" in text, text
    assert "\x1b" not in text and text.isascii() and "  #" in text, text
    assert b"nothing was counted of sendmsg" in netdeadline("stats", "--histogram", "sendmsg", pid_of(program)).stderr


def test_a_call_that_nobody_counts_is_wrong_usage(net):
    assert b"'mmap' is no call" in netdeadline("stats", "--histogram", "mmap", status=2).stderr
    netdeadline("stats", "--histogram", status=2)
