"""The shells' completion of netdeadline."""

import os
import shutil
import subprocess

import pytest

import programs

COMPLETION = programs.ROOT / "docs/completion"


def complete(*words):
    """What bash offers for the last of `words`, which follow the command."""
    script = (f". {COMPLETION}/netdeadline.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _netdeadline; "
              "((${#COMPREPLY[@]})) && printf '%s\\n' \"${COMPREPLY[@]}\"; true")
    result = subprocess.run(["bash", "-c", script, "bash", programs.BUILD / "netdeadline", *words], capture_output=True, text=True,
                            timeout=20)
    assert result.stderr == "", result
    return result.stdout.splitlines()


def test_commands_and_options():
    assert {"run", "check", "help", "--version"} <= set(complete(""))
    assert complete("ch") == ["check"]
    assert complete("run", "--inbound-rec") == ["--inbound-recv"]
    assert complete("run", "--recv", "1s", "--log-f") == ["--log-format"]
    assert complete("run", "--recv", "=", "1s", "--log-f") == ["--log-format"]
    assert complete("help", "r") == ["run"]


def test_config_and_unit(tmp_path):
    (tmp_path / "x.conf").touch()
    assert complete("config", "") == ["--check", "--explain", "--help"]
    assert complete("config", "--check", f"{tmp_path}/") == [f"{tmp_path}/x.conf"]
    assert complete("config", "--explain", "--i") == ["--inbound"]
    assert set(complete("config", "--explain", "getent")) == {"getent"}
    assert complete("unit", "--inbound-rec") == ["--inbound-recv"]
    assert complete("unit", "--gu") == ["--guard"]
    assert complete("unit", "--mode", "") == ["enforce", "observe", "off"]
    assert complete("enable", "--sys") == ["--system"] and complete("enable", "--now", "--inbound-rec") == ["--inbound-recv"]
    assert complete("enable", "--system", "--mode", "") == ["enforce", "observe", "off"] and complete("enable", "--system", "") == []
    assert complete("disable", "--") == ["--now", "--system", "--help"] and complete("status", "--h") == ["--help"]


def test_values(tmp_path):
    assert complete("run", "--mode", "") == ["enforce", "observe", "off"]
    assert complete("run", "--recv", "") == ["off"]
    (tmp_path / "x.log").touch()
    assert complete("run", "--log", f"{tmp_path}/") == [f"{tmp_path}/x.log"]
    assert complete("run", "--library", f"{tmp_path}/") == [f"{tmp_path}/x.log"]


@pytest.mark.parametrize("before", [["run"], ["run", "--"], ["run", "--recv", "1s"], ["run", "--recv", "1s", "--"], ["check"]])
def test_programs(before):
    assert set(complete(*before, "getent")) == {"getent"}


def test_processes_and_settings():
    pid = str(os.getpid())
    for command in ("ps", "top", "stats", "set", "end", "guard"):
        assert pid in complete(command, pid), command
    assert complete("ps", "--s") == ["--stack"]
    assert complete("guard", "--cg") == ["--cgroup"]
    assert complete("guard", "--mode", "") == ["enforce", "observe", "off"]
    assert complete("end", "--st") == ["--stuck"]
    assert complete("run", "--no-guard", "--log-f") == ["--log-format"]
    assert complete("stats", "--p") == ["--prometheus"]
    assert complete("stats", "--co") == ["--config"]
    assert complete("stats", "--histogram", "SSL_re")[:1] == ["SSL_read"]
    assert complete("exporter", "--te") == ["--textfile"]
    assert complete("set", pid, "INBOUND_REC") == ["INBOUND_RECV="]
    assert complete("set", pid, "LOG") == [] and complete("set", pid, "MO") == ["MODE="]


def test_options_of_the_program_are_not_ours():
    assert complete("run", "env", "--re") == []
    assert complete("run", "--", "env", "--re") == []


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_file_is_read():
    subprocess.run(["zsh", "-n", COMPLETION / "_netdeadline"], check=True, timeout=20, env={**os.environ, "HOME": "/"})
