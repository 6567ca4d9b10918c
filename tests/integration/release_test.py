"""scripts/check-abi notices what an old host would not take. The release files themselves are its good examples."""

import platform
import subprocess

import pytest

import programs


def complaints(tmp_path, source, *flags):
    """What it says of a library made of `source`."""
    (tmp_path / "bad.c").write_text(source)
    library = tmp_path / "bad.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", library, tmp_path / "bad.c", *flags], check=True)
    result = subprocess.run([programs.ROOT / "scripts/check-abi", library], capture_output=True, text=True)
    assert result.returncode == 1
    return result.stderr


@pytest.mark.parametrize("source, flags, complaint", [
    ("#include <sys/stat.h>\nint read(void) { struct stat s; return stat(\"/\", &s); }", [], "needs more than glibc 2.5: GLIBC_2.33"),
    ("int stranger(void) { return 0; }", [], "exported but no row of hooks.def: stranger"),
    ("int other(void); int read(void) { return other(); }", [], "a reference without a version: other"),
    ("__thread char big[65]; char *read(void) { return big; }", [], "thread-local storage: 65 bytes"),
    ("int read(void) { return 0; }", ["-Wl,-z,execstack"], "stack: executable"),
    ("double sin(double); double x; int read(void) { return sin(x); }", ["-lm"], "also loads: libm.so.6"),
    ("int read(void) { return 0; }", ["-Wl,-rpath,/opt"], "dynamic section"),
    ("int read(void) { return 0; }", ["-Wl,--hash-style=gnu"], "is missing: DT_HASH"),
    ("int read(void) { return 0; } __asm__(\".text\\n.quad read\");", ["-Wl,-z,notext"], "TEXTREL"),
    ("static int f(void) { return 0; } static void *pick(void) { return f; } int read(void) __attribute__((ifunc(\"pick\")));", [],
     "unknown to old loaders: read"),
], ids=["version", "export", "unversioned", "tls", "stack", "needed", "rpath", "hash", "textrel", "ifunc"])
def test_it_notices(tmp_path, source, flags, complaint):
    assert complaint in complaints(tmp_path, source, *flags)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="its compiler makes no i386 files")
def test_it_notices_a_version_of_old_libpthreads(tmp_path):
    """What libc.so.6 of today has by that version, libc.so.6 of before 2.34 has by another, on i386."""
    def link(source, *flags):
        (tmp_path / "bad.c").write_text(source)
        subprocess.run(["gcc", "-m32", "-shared", "-fPIC", "-nostdlib", tmp_path / "bad.c", *flags], check=True)

    (tmp_path / "map").write_text("GLIBC_2.2 { open64; };")
    link("int open64(void) { return 0; }", f"-Wl,--version-script={tmp_path}/map,-soname,libc.so.6", "-o", tmp_path / "libc.so")
    link("int open64(void); int read(void) { return open64(); }", tmp_path / "libc.so", "-o", tmp_path / "bad.so")
    result = subprocess.run([programs.ROOT / "scripts/check-abi", tmp_path / "bad.so"], capture_output=True, text=True)
    assert result.returncode == 1 and "libpthread's in old hosts: open64@GLIBC_2.2" in result.stderr


def test_what_is_no_library(tmp_path):
    (tmp_path / "text").write_text("hello")
    result = subprocess.run([programs.ROOT / "scripts/check-abi", tmp_path / "text"], capture_output=True, text=True)
    assert result.returncode == 1 and "machine" in result.stderr
