"""The export audit, and that it notices."""

import subprocess

import pytest

import programs


def audit(library):
    return subprocess.run([programs.ROOT / "scripts/audit", library], capture_output=True, text=True)


@pytest.mark.skipif(bool(programs.RUNTIME), reason="a checked build calls the sanitizer")
def test_library():
    result = audit(programs.LIBRARY)
    assert result.returncode == 0, result.stdout + result.stderr


def test_any_other_export_is_noticed(tmp_path):
    library = tmp_path / "other.so"
    source = tmp_path / "other.c"
    source.write_text("int read(void) { return 0; }\nint ares_init(void) { return 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    assert audit(library).returncode != 0


def test_a_function_that_is_not_libcs_is_noticed(tmp_path):
    library = tmp_path / "other.so"
    source = tmp_path / "other.c"
    source.write_text("int not_of_libc(void);\nint call(void) { return not_of_libc(); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    assert "neither a function of libc nor data of its: not_of_libc" in audit(library).stderr
