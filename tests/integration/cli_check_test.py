"""`netdeadline check`: programs of every kind, made by hand where the host has none, and processes."""

import os
import pathlib
import shutil
import struct
import subprocess
import sysconfig

import pytest

import programs

COMMAND = programs.BUILD / "netdeadline"
LOADER = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}[os.uname().machine]
MACHINE = {"x86_64": 62, "aarch64": 183}[os.uname().machine]


def check(*arguments, command=COMMAND, **variables):
    return subprocess.run([command, "check", *arguments], capture_output=True, timeout=20, env={**os.environ, **variables, "LC_ALL": "C"},
                          stdin=subprocess.DEVNULL)


def findings(result, status=0):
    """{"good": [...], "note": [...], "bad": [...]} of a check that ended with `status`."""
    assert (result.returncode, result.stderr) == (status, b""), result
    lines = result.stdout.decode("ascii").splitlines()[1:]
    assert all(line[:8] in ("  good  ", "  note  ", "  bad   ") for line in lines), lines
    return {kind: [line[8:] for line in lines if line.split()[0] == kind] for kind in ("good", "note", "bad")}


def one(found, kind, text):
    matching = [line for line in found[kind] if text in line]
    assert len(matching) == 1, (text, found)
    return matching[0]


def elf(path, interpreter=LOADER.encode(), imports=(), section=b".x", machine=MACHINE):
    """Writes a 64-bit ELF file that has just what a check looks at."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in imports)
    symbols = bytes(24)
    for name in imports:
        symbols += struct.pack("<IBBHQQ", names.index(b"\0" + name.encode() + b"\0") + 1, 0x12, 0, 0, 0, 0)
    texts = b"\0.shstrtab\0" + section + b"\0"
    interpreter += b"\0"
    offsets, body = [], b""
    for part in (interpreter, names, symbols, texts):
        offsets.append(64 + 56 + len(body))
        body += part + bytes(-len(part) % 8)
    table = 64 + 56 + len(body)
    segment = struct.pack("<IIQQQQQQ", 3, 4, offsets[0], 0, 0, len(interpreter), len(interpreter), 1)

    def header(name, kind, offset, size, link=0, entry=0):
        return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, link, 0, 8, entry)

    sections = [header(0, 0, 0, 0), header(1, 3, offsets[3], len(texts)), header(0, 3, offsets[1], len(names)),
                header(0, 11, offsets[2], len(symbols), 2, 24), header(11, 1, 64, 1)]
    start = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, table, 0, 64, 56, 1, 64, len(sections), 1)
    path.write_bytes(start + segment + body + b"".join(sections))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--fly"], [""]])
def test_wrong_usage_is_2(arguments):
    result = check(*arguments)
    assert (result.returncode, result.stdout) == (2, b"") and result.stderr, result


def test_help():
    assert b"Usage: netdeadline check" in check("--help").stdout


def test_missing_program_is_127(tmp_path):
    for name in ("no-such-program", tmp_path / "none"):
        assert check(name).returncode == 127


def test_ordinary_program(tmp_path):
    found = findings(check(elf(tmp_path / "p", imports=["socket", "connect", "recv", "sendmmsg", "strlen"])))
    one(found, "good", "dynamic, for glibc")
    assert one(found, "good", "calls that are bounded").split(":")[1].split() == ["connect", "recv", "sendmmsg"]
    assert not found["bad"]


def test_every_operation_is_known_by_its_other_names_too(tmp_path):
    """All but close, which every program calls and which hardly ever waits."""
    bounded = ["gnutls_record_uncork", "SSL_stateless", "res_send", "__res_nsearch", "__connect", "__recv_chk"]
    found = findings(check(elf(tmp_path / "p", imports=["close", "__close", *bounded])))
    assert one(found, "good", "calls that are bounded").split(":")[1].split() == bounded


def test_calls_that_are_not_bounded_are_named(tmp_path):
    """NSPR has no hooks, and is not planned to."""
    found = findings(check(elf(tmp_path / "p", imports=["connect", "PR_Recv"])))
    assert one(found, "note", "not bounded by themselves").split(":")[1].split() == ["PR_Recv"]


def test_libraries_are_looked_into(other_users):
    """Root has it run only loaders that are root's, and in an ordinary user's namespace none is."""
    found = findings(check(programs.need("curl")))
    calls = one(found, "good", "calls that are bounded").split(":")[1].split()
    assert {"connect", "poll", "getaddrinfo", "SSL_read"} <= set(calls)


def test_program_without_network():
    one(findings(check(shutil.which("env"))), "note", "neither it nor")


@pytest.mark.parametrize("name, text", [("dlopen", "further modules"), ("io_uring_queue_init_params", "io_uring"), ("dlmopen", "namespaces"),
                                        ("aio_read64", "by themselves: aio_read64"),
                                        ("__asan_init", "AddressSanitizer"), ("seccomp_load", "seccomp")])
def test_habits_are_noted(tmp_path, name, text):
    one(findings(check(elf(tmp_path / "p", imports=["socket", name]))), "note", text)
    assert all(note.startswith("glibc 2.") for note in findings(check(elf(tmp_path / "q", imports=["socket", "connect"])))["note"])


def test_static_and_go(tmp_path):
    static = elf(tmp_path / "static")
    static.write_bytes(static.read_bytes().replace(struct.pack("<IIQ", 3, 4, 120), struct.pack("<IIQ", 1, 4, 120)))
    found = findings(check(static), 1)
    assert found["bad"] == ["linked statically: no library can be preloaded into it"]
    assert any("netdeadline guard" in line for line in found["good"] + found["note"]), found
    go = elf(tmp_path / "go", section=b".go.buildinfo")
    one(findings(check(go)), "note", "a Go program")
    go.write_bytes(go.read_bytes().replace(struct.pack("<IIQ", 3, 4, 120), struct.pack("<IIQ", 1, 4, 120)))
    one(findings(check(go), 1), "bad", "Go without cgo")


def test_musl(tmp_path):
    """It is served as well; what its loader has to say is in musl_command_test."""
    found = findings(check(elf(tmp_path / "p", interpreter=b"/lib/ld-musl-x86_64.so.1")))
    assert not found["bad"] and any("dynamic, for musl" in line for line in found["good"] + found["note"]), found


def test_other_machine(tmp_path):
    one(findings(check(elf(tmp_path / "p", machine=21)), 1), "bad", "of another kind")


def test_script_is_followed(tmp_path):
    script = tmp_path / "script"
    script.write_text(f"#!{elf(tmp_path / 'p', interpreter=b'/lib/ld-musl-x86_64.so.1')} -x\n")
    script.chmod(0o755)
    assert any("dynamic, for musl" in line for lines in findings(check(script)).values() for line in lines)


def test_no_program(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("text")
    one(findings(check(plain), 1), "bad", "neither a program nor a script")


@pytest.mark.usefixtures("other_users")
def test_privileged_program(tmp_path):
    program = elf(tmp_path / "p")
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    one(findings(check(program), 1), "bad", "gains privileges")


def test_missing_library(tmp_path):
    alone = pathlib.Path(shutil.copy(COMMAND, tmp_path))
    installed = [pathlib.Path("/usr/local", lib) for lib in (f"lib/{sysconfig.get_config_var('MULTIARCH')}", "lib", "lib64")]
    if not any((directory / "libnetdeadline.so").exists() for directory in installed):
        one(findings(check(elf(tmp_path / "p"), command=alone), 1), "bad", "libnetdeadline.so is not beside")


def test_only_the_systems_loader_is_executed(tmp_path):
    for name in ("ld-linux-x86-64.so.2", "program"):
        loader = tmp_path / name
        loader.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
        loader.chmod(0o755)
        check(elf(tmp_path / "p", interpreter=bytes(loader)))
        check(elf(tmp_path / "p", interpreter=b"/lib/.." + bytes(loader)))
    assert not (tmp_path / "executed").exists()


def test_text_of_the_file_cannot_reach_the_terminal(tmp_path):
    result = check(elf(tmp_path / "p\x1b[31m", interpreter=b"/\x1b]0;x\x07\xff"))
    assert result.returncode == 0 and all(byte == 10 or 32 <= byte < 127 for byte in result.stdout), result


def test_damaged_files_are_no_trouble(tmp_path):
    good = elf(tmp_path / "p", imports=["connect"]).read_bytes()
    damaged = tmp_path / "damaged"
    for at in range(0, len(good), 3):
        damaged.write_bytes(good[:at] + bytes([good[at] ^ 0xff]) + good[at + 1:])
        damaged.chmod(0o755)
        assert check(damaged).returncode in (0, 1), at
        if at % 9 == 0:
            damaged.write_bytes(good[:at])
            assert check(damaged).returncode in (0, 1), at


@pytest.fixture
def process():
    """Starts a program that waits, and tells when its start is over."""
    started = []

    def start(**variables):
        program = subprocess.Popen(["sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], **variables})
        started.append(program)
        program.stdout.readline()
        while os.readlink(f"/proc/{program.pid}/exe") != os.path.realpath(shutil.which("sleep")):
            pass
        while "/libc.so.6" not in pathlib.Path(f"/proc/{program.pid}/maps").read_text():
            pass  # the loader is still at it, and libc comes last
        while "State:\tS" not in pathlib.Path(f"/proc/{program.pid}/status").read_text():
            pass  # and then the libraries start
        return str(program.pid)

    yield start
    for program in started:
        program.kill()
        program.wait()


def test_process_without_the_library(process):
    assert findings(check(process()), 1)["bad"] == ["it has not loaded the library"]


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime must be loaded first")
def test_process_with_the_library(process):
    found = findings(check(process(LD_PRELOAD=str(programs.LIBRARY), NETDEADLINE_RECV="1s\x1b", NETDEADLINE_SEND="2s")))
    one(found, "good", f"it has loaded {programs.LIBRARY}")
    one(found, "note", "started with NETDEADLINE_RECV=1s\\u001b")
    one(found, "note", "started with NETDEADLINE_SEND=2s")
    one(found, "note", "SEND=2s is in force (by default off)")
    one(found, "good", "at work in it")
    one(found, "note", "cannot be read, using off")


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime must be loaded first")
@pytest.mark.parametrize("name, value", [("MODE", "off"), ("SKIP", "sleep"), ("ONLY", "other")])
def test_process_that_passes_through(process, name, value):
    found = findings(check(process(LD_PRELOAD=str(programs.LIBRARY), **{f"NETDEADLINE_{name}": value})), 1)
    one(found, "bad", "passes through")


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime must be loaded first")
def test_settings_come_from_the_memory(process, tmp_path):
    """Not from the environment alone: the file's are told too."""
    (tmp_path / "c").write_text("RECV = 7s\n[inbound]\nMIN_RATE = 1k/30s\n")
    found = findings(check(process(LD_PRELOAD=str(programs.LIBRARY), NETDEADLINE_CONFIG=str(tmp_path / "c"))))
    one(found, "note", "RECV=7s is in force (by default off)")
    one(found, "note", "INBOUND_MIN_RATE=1k/30s is in force")


FILTERED = """
allow = struct.pack("HBBI", 6, 0, 0, 0x7fff0000)
program = ctypes.create_string_buffer(allow)
class Filter(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.addressof(program))), 0, 0) == 0
print(flush=True)
time.sleep(60)
"""


def test_filtered_process_is_noted():
    program = subprocess.Popen(programs.child(FILTERED), stdout=subprocess.PIPE)
    try:
        program.stdout.readline()
        one(findings(check(str(program.pid)), 1), "note", "filtered (seccomp)")
    finally:
        program.kill()
        program.wait()


@pytest.mark.parametrize("variable, text", [({"NETDEADLINE_SKIP": "p"}, "SKIP names it"), ({"NETDEADLINE_ONLY": "q"}, "ONLY does not"),
                                            ({"NETDEADLINE_MODE": "off"}, "MODE is off")])
def test_program_that_would_pass_through(tmp_path, variable, text):
    one(findings(check(elf(tmp_path / "p"), **variable), 1), "bad", text)


def test_config_file_of_a_program(tmp_path):
    (tmp_path / "c").write_text("RECV = x\n[destination 10.0.0.1]\nRECV = 1s\n")
    found = findings(check(elf(tmp_path / "p"), NETDEADLINE_CONFIG=str(tmp_path / "c")))
    one(found, "note", f'{tmp_path}/c:1: "x" is not a duration'.replace('"', '\\"'))
    one(found, "good", "1 sections for single places")


def test_no_such_process(process):
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert check(str(gone.pid)).returncode == 127
    assert check("99999999999999999999").returncode == 127
