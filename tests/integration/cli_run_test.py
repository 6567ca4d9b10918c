"""`netdeadline run`: what it sets, refuses, warns of, and how it ends."""

import ctypes.util
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sysconfig

import pytest

import programs

COMMAND = programs.BUILD / "netdeadline"
LIB = f"lib/{sysconfig.get_config_var('MULTIARCH')}"
STATIC = "/sbin/ldconfig"
OF_A_BUILD = pytest.mark.skipif(programs.INSTALLED, reason="an installed command finds its library, and names it by $LIB")
WITHOUT_SANITIZER = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime must be loaded first")


def find_shared_library():
    directories = [f"/{LIB}", f"/usr/{LIB}", "/lib64", "/usr/lib64"]
    return next(path for directory in directories if (path := pathlib.Path(directory, ctypes.util.find_library("m"))).exists())


@pytest.fixture
def prefix(tmp_path):
    """An installation with a harmless library in the place of ours: these tests are about the command alone."""
    root = tmp_path / "prefix"
    (root / "bin").mkdir(parents=True)
    (root / LIB).mkdir(parents=True)
    shutil.copy(COMMAND, root / "bin/netdeadline")
    shutil.copy(find_shared_library(), root / LIB / "libnetdeadline.so")
    return root


def run(prefix, *arguments, preload=None, cwd=None, **variables):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NETDEADLINE_", "LD_PRELOAD"))}
    env.update(variables, LC_ALL="C")
    if preload is not None:
        env["LD_PRELOAD"] = preload
    return subprocess.run([prefix / "bin/netdeadline", *arguments], env=env, capture_output=True, text=True, errors="replace", timeout=20,
                          cwd=cwd, stdin=subprocess.DEVNULL)


def variables_of(result):
    assert (result.returncode, result.stderr) == (0, ""), result
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def test_version_and_help(prefix):
    version = run(prefix, "--version")
    assert version.returncode == 0 and version.stdout.startswith("netdeadline "), version
    for arguments in [["--help"], ["help"], ["run", "--help"], ["help", "run"]]:
        result = run(prefix, *arguments)
        assert (result.returncode, result.stderr) == (0, "") and "Usage: netdeadline" in result.stdout, result


@pytest.mark.parametrize("arguments", [[], ["fly"], ["--fly"], ["help", "fly"], ["run"], ["run", "--"], ["run", "--recv", "3s"],
                                       ["run", "--recv"], ["run", "--fly", "1s", "true"], ["run", "-r", "3s", "true"],
                                       ["run", "--config", "/x", "true"]])
def test_wrong_usage_is_2(prefix, arguments):
    result = run(prefix, *arguments)
    assert (result.returncode, result.stdout) == (2, "") and result.stderr, result


HELP_ANYWHERE = [["run", "--recv", "1s", "--help", "true"], ["unit", "nginx", "--help"], ["check", "true", "-h"], ["ps", "--stack", "--help"],
                 ["ps", "1", "--help"], ["top", "1", "--help"], ["stats", "--json", "1", "--help"], ["set", "1", "RECV=x", "--help"],
                 ["config", "--explain", "curl", "--help"]]


@pytest.mark.parametrize("arguments", HELP_ANYWHERE, ids=" ".join)
def test_help_anywhere(prefix, arguments):
    result = run(prefix, *arguments)
    assert (result.returncode, result.stderr) == (0, "") and result.stdout.startswith(f"Usage: netdeadline {arguments[0]} "), result


@pytest.mark.parametrize("command", ["run", "unit", "check", "ps", "top", "stats", "set", "config"])
@pytest.mark.parametrize("option", ["--fly", "-x", "--fly=1", "--hel", "--help=1"])
def test_unknown_option_is_2(prefix, command, option):
    """Beginnings of names are unknown too: what is unique today need not be so in the next version."""
    result = run(prefix, command, option, "1")
    assert (result.returncode, result.stdout) == (2, "") and f"'{option}'" in result.stderr, result
    assert result.stderr.endswith(f"Try 'netdeadline {command} --help'.\n"), result


def test_abbreviated_setting_is_2(prefix):
    for arguments in [["--inbound-rec", "1s"], ["--inbound-rec=1s"]]:
        result = run(prefix, "run", *arguments, "echo", "ran")
        assert (result.returncode, result.stdout) == (2, "") and f"'{arguments[0]}'" in result.stderr, result


def test_failing_output_is_no_success(prefix):
    with open("/dev/full", "w") as full:
        assert subprocess.run([prefix / "bin/netdeadline", "--help"], stdout=full, stderr=subprocess.DEVNULL).returncode == 125


def test_options_become_variables(prefix):
    variables = variables_of(run(prefix, "run", "--connect", "3s", "--inbound-tls-handshake=1m30s", "--min-rate", "1k/30s", "--log",
                                 "/var/log/x", "--log-format", "json", "--backtrace", "1", "--mode", "observe", "--statsd",
                                 "127.0.0.1:8125", "--recv", "off", "env", NETDEADLINE_SEND="7s", NETDEADLINE_CONNECT="9s"))
    assert {name: value for name, value in variables.items() if name.startswith("NETDEADLINE_")} == {
        "NETDEADLINE_CONNECT": "3s", "NETDEADLINE_INBOUND_TLS_HANDSHAKE": "1m30s", "NETDEADLINE_MIN_RATE": "1k/30s",
        "NETDEADLINE_LOG": "/var/log/x", "NETDEADLINE_LOG_FORMAT": "json", "NETDEADLINE_BACKTRACE": "1",
        "NETDEADLINE_MODE": "observe", "NETDEADLINE_STATSD": "127.0.0.1:8125", "NETDEADLINE_RECV": "off",
        "NETDEADLINE_SEND": "7s"}


def test_every_option_of_the_help_is_taken(prefix):
    values = {"TIME": "1s", "BYTES/TIME": "1k/1s", "WHERE": "stderr", "0|1": "1", "ADDRESS:PORT": "127.0.0.1:1",
              "FILE": "/dev/null", "NAMES": "a,b*"}
    words = {"--mode": "off", "--log-format": "json", "--resolve-error": "fail"}
    lines = [line.split() for line in run(prefix, "run", "--help").stdout.splitlines() if line.startswith("  --")]
    arguments = [word for option, kind, *_ in lines if option not in ["--library", "--no-guard"] for word in (option, values.get(kind) or words[option])]
    variables = variables_of(run(prefix, "run", *arguments, "--", "env"))
    assert len(arguments) / 2 == sum(name.startswith("NETDEADLINE_") for name in variables) >= 26


def test_config_is_named_for_wherever_the_program_goes(prefix, tmp_path):
    (tmp_path / "here.conf").write_text("RECV = 1s\n")
    variables = variables_of(run(prefix, "run", "--config", "here.conf", "--only=a*, b", "env", cwd=tmp_path))
    assert (variables["NETDEADLINE_CONFIG"], variables["NETDEADLINE_ONLY"]) == (str(tmp_path / "here.conf"), "a*, b")


@pytest.mark.parametrize("option, value", [("--recv", "3 seconds"), ("--recv", "-1s"), ("--recv", "1e9h"), ("--recv", ""),
                                           ("--recv", "99999999999999999999s"), ("--log", "relative"), ("--mode", "fast"),
                                           ("--min-rate", "1k"), ("--backtrace", "2"), ("--statsd", "host:1"),
                                           ("--library", "/nonexistent"), ("--library", "/"),
                                           ("--config", "/nonexistent")])
def test_bad_value_is_told_before_anything_runs(prefix, option, value):
    result = run(prefix, "run", option, value, "echo", "ran")
    assert (result.returncode, result.stdout) == (2, ""), result
    assert option in result.stderr and f"'{value}'" in result.stderr, result


def test_arguments_of_the_program_are_its_own(prefix):
    for separator in [["--"], []]:
        result = run(prefix, "run", *separator, "printf", "%s,", "--recv", "x", "--", "-n")
        assert (result.returncode, result.stdout) == (0, "--recv,x,--,-n,"), result


def test_ending_is_the_programs_own(prefix):
    assert run(prefix, "run", "sh", "-c", "exit 7").returncode == 7
    assert run(prefix, "run", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM


def test_program_keeps_the_process(prefix):
    """It is executed, not started: whoever supervises the command supervises the program."""
    process = subprocess.Popen([prefix / "bin/netdeadline", "run", "sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True)
    assert int(process.communicate(timeout=20)[0]) == process.pid


def test_not_found_and_not_executable(prefix, tmp_path):
    assert run(prefix, "run", "no-such-program").returncode == 127
    assert run(prefix, "run", tmp_path / "none").returncode == 127
    assert run(prefix, "run", tmp_path).returncode == 126
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    result = run(prefix, "run", plain)
    assert result.returncode == 126 and "Permission denied" in result.stderr, result


def test_installed_library_is_told_with_lib(prefix):
    assert variables_of(run(prefix, "run", "env"))["LD_PRELOAD"] == f"{prefix}/$LIB/libnetdeadline.so"


def test_library_in_lib_and_beside(prefix):
    library = prefix / LIB / "libnetdeadline.so"
    library = library.rename(prefix / "lib/libnetdeadline.so")
    assert variables_of(run(prefix, "run", "env"))["LD_PRELOAD"] == str(library)
    beside = shutil.copy(library, prefix / "bin")
    assert variables_of(run(prefix, "run", "env"))["LD_PRELOAD"] == str(beside)


def test_command_may_be_a_link(prefix, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(prefix / "bin/netdeadline")
    result = subprocess.run([link, "run", "sh", "-c", "echo $LD_PRELOAD"], capture_output=True, text=True)
    assert result.stdout == f"{prefix}/$LIB/libnetdeadline.so\n", result


def test_named_library(prefix):
    other = shutil.copy(find_shared_library(), prefix / "other.so")
    result = run(prefix, "run", "--library", "other.so", "env", cwd=prefix)
    assert variables_of(result)["LD_PRELOAD"] == str(other)


@WITHOUT_SANITIZER
def test_preload_is_kept_and_not_doubled(prefix):
    own = f"{prefix}/$LIB/libnetdeadline.so"
    for before, after in [("libm.so.6", f"{own}:libm.so.6"), ("", own), (own, own), (f"libm.so.6 {own}", f"libm.so.6 {own}"),
                          (f"{prefix}/{LIB}/libnetdeadline.so", f"{prefix}/{LIB}/libnetdeadline.so")]:
        assert variables_of(run(prefix, "run", "env", preload=before))["LD_PRELOAD"] == after


# Each puts a library of its own in the place of what LD_PRELOAD names.
LAUNCHERS = {
    "mptcpize": ('[ "$1" = run ] && shift; [ "$1" = -d ] && shift', [["run"], ["run", "-d"]]),
    "trickle": ('while getopts hvVsd:u:w:t:l:n:L:P: o; do :; done; shift $((OPTIND - 1))', [[], ["-s"], ["-d", "1"], ["-sd", "1", "-u2"], ["-s", "--"]]),
    "jemalloc.sh": (":", [[]]),
}


@WITHOUT_SANITIZER
@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_that_replace_the_list(prefix, tmp_path, name):
    text, options = LAUNCHERS[name]
    (tmp_path / name).write_text(f'#!/bin/sh\n{text}\nLD_PRELOAD=libm.so.6 exec "$@"\n')
    (tmp_path / name).chmod(0o755)
    library = prefix / LIB / "libnetdeadline.so"
    for own, said in (f"{prefix}/$LIB/libnetdeadline.so", []), (str(library), ["--no-guard", "--library", library]):
        for words in options:
            result = run(prefix, "run", "--recv", "3s", *said, "--", tmp_path / name, *words, "sh", "-c", 'echo "$LD_PRELOAD $NETDEADLINE_RECV $1"',
                         "sh", "a  --b")
            assert (result.returncode, result.stdout, result.stderr) == (0, f"{own}:libm.so.6 3s a  --b\n", ""), (words, result)
    assert run(prefix, "run", tmp_path / name).returncode != 125


@WITHOUT_SANITIZER
@OF_A_BUILD
@pytest.mark.parametrize("before", ["", "libm.so.6"])
def test_runtime_of_a_sanitizer_stays_first(tmp_path, before):
    """In the list, and where the program alone needs it; gcc's is a shared library."""
    source, program = tmp_path / "p.c", tmp_path / "p"
    source.write_text('#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv("LD_PRELOAD")); return 0; }\n')
    subprocess.run(["gcc", "-fsanitize=address", "-o", program, source], check=True, capture_output=True)
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    needed = re.search(r"NEEDED.*\[(libasan[^]]*)\]", subprocess.run(["readelf", "-d", program], capture_output=True, text=True).stdout)[1]
    for listed, told in ([runtime], False), ([], True):
        preload = ":".join(filter(None, [*listed, before]))
        variables = {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0"}
        result = subprocess.run([COMMAND, "run", program], env=variables, capture_output=True, text=True)
        expected = [*(listed or [needed]), str(programs.LIBRARY), *filter(None, [before])]
        assert (result.returncode, result.stdout.strip().split(":")) == (0, expected), result
        assert (f"{needed} is loaded before the library" in result.stderr) == told, result


@WITHOUT_SANITIZER
def test_the_loader_is_asked_what_lib_stands_for(prefix, tmp_path):
    """Not guessed: a 32-bit program's loader has another $LIB. First there is no library of its kind, then there is."""
    (tmp_path / "p.c").write_text("int main(void) { return 0; }")
    if subprocess.run(["gcc", "-m32", "-o", tmp_path / "p", tmp_path / "p.c"], capture_output=True).returncode:
        pytest.skip("no 32-bit program can be built")
    result = run(prefix, "run", "--no-guard", tmp_path / "p")
    assert "finds no library of its kind (32-bit)" in result.stderr, result
    checked = run(prefix, "check", tmp_path / "p")
    assert checked.returncode == 1 and "its loader finds no library of its kind" in checked.stdout, checked
    for directory in "lib32", "lib", "lib/i386-linux-gnu":
        (prefix / directory).mkdir(exist_ok=True)
        subprocess.run(["gcc", "-m32", "-shared", "-fPIC", "-o", prefix / directory / "libnetdeadline.so", tmp_path / "p.c"], check=True)
    assert "no library" not in run(prefix, "run", tmp_path / "p").stderr
    assert "its loader finds the library of its kind (32-bit)" in run(prefix, "check", tmp_path / "p").stdout


@OF_A_BUILD
def test_missing_library_is_125(prefix, tmp_path):
    alone = tmp_path / "alone/bin"
    alone.mkdir(parents=True)
    shutil.copy(COMMAND, alone)
    if not any(pathlib.Path("/usr/local", directory, "libnetdeadline.so").exists() for directory in (LIB, "lib", "lib64")):
        result = run(alone.parent, "run", "echo", "ran")
        assert (result.returncode, result.stdout) == (125, "") and "--library" in result.stderr, result


def test_path_that_the_loader_cannot_be_told_is_125(prefix):
    (prefix / "a b").mkdir()
    library = shutil.copy(find_shared_library(), prefix / "a b/libnetdeadline.so")
    result = run(prefix, "run", "--library", library, "echo", "ran")
    assert (result.returncode, result.stdout) == (125, ""), result


@WITHOUT_SANITIZER
@OF_A_BUILD
def test_library_of_the_build_is_found():
    result = subprocess.run([COMMAND, "run", "sh", "-c", "grep -c libnetdeadline.so /proc/$$/maps; echo $LD_PRELOAD"],
                            capture_output=True, text=True)
    count, preload = result.stdout.split()
    assert int(count) > 0 and preload == str(programs.LIBRARY), result


@pytest.mark.skipif(not pathlib.Path(STATIC).exists(), reason="no static program here")
def test_static_program_is_guarded_or_warned_of_and_run(prefix, tmp_path):
    result = run(prefix, "run", STATIC, "--version")
    assert result.returncode == 0 and "ldconfig" in result.stdout and result.stderr == "", result
    result = run(prefix, "run", "--no-guard", STATIC, "--version")
    assert result.returncode == 0 and "ldconfig" in result.stdout, result
    assert result.stderr.count("\n") == 1 and "linked statically" in result.stderr, result
    script = tmp_path / "script"
    script.write_text(f"#! {STATIC} --version\n")
    script.chmod(0o755)
    assert "linked statically" in run(prefix, "run", "--no-guard", script).stderr


@pytest.mark.usefixtures("other_users")
def test_privileged_program_is_warned_of(prefix, tmp_path):
    program = pathlib.Path(shutil.copy("/bin/true", tmp_path))
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    result = run(prefix, "run", "--no-guard", program)
    assert result.returncode == 0 and "gains privileges" in result.stderr, result
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    assert run(prefix, "run", program).stderr == ""  # root's own gives root nothing


def elf32():
    """The headers of a 32-bit program that names its loader."""
    header = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    return header + struct.pack("<8I", 3, 84, 0, 0, 4, 4, 4, 1) + b"/x\0\0"


def test_program_of_another_class_is_warned_of(prefix, tmp_path):
    program = tmp_path / "small"
    program.write_bytes(elf32())
    program.chmod(0o755)
    assert "32-bit" not in run(prefix, "run", program).stderr  # $LIB finds the library for it, where there is one
    library = shutil.copy(find_shared_library(), prefix / "bin/libnetdeadline.so")
    result = run(prefix, "run", "--no-guard", program)
    assert "is a 32-bit program" in result.stderr and str(library) in result.stderr, result


DAMAGED = {
    "empty": b"", "magic alone": b"\x7fELF", "header alone": elf32()[:52], "half a header": elf32()[:40], "no interpreter": b"#!",
    "empty interpreter": b"#!\n", "long interpreter": b"#!" + b"x" * 5000, "table far away": elf32()[:28] + b"\xff" * 4 + elf32()[32:],
    "huge table": elf32()[:44] + b"\xff\xff" + elf32()[46:],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_program_is_no_trouble_of_ours(prefix, tmp_path, content):
    program = tmp_path / "damaged"
    program.write_bytes(content)
    program.chmod(0o755)
    assert run(prefix, "run", program).returncode in (0, 2, 126, 127)


def test_script_that_interprets_itself_ends(prefix, tmp_path):
    script = tmp_path / "script"
    script.write_text(f"#!{script}\n")
    script.chmod(0o755)
    assert run(prefix, "run", script).returncode == 126
