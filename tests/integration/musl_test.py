"""musl's programs take the library, too, where they inherit LD_PRELOAD by its path."""

import shutil
import subprocess

import pytest

import programs


@pytest.fixture
def program(tmp_path):
    if not shutil.which("musl-gcc"):
        pytest.skip("musl-tools are not installed")
    subprocess.run(["musl-gcc", "-O1", "-o", tmp_path / "musl", programs.ROOT / "tests/release/musl.c"], check=True)
    return tmp_path / "musl"


@pytest.mark.skipif(bool(programs.RUNTIME), reason="musl has no such checks")
def test_everything_works(net, program):
    without, under = (net.run([program], library=library, LOG="stderr") for library in (False, True))
    assert without.status == 0 and not without.text, without
    assert under.status == 0 and not under.text, under


def test_check_says_that_it_has_no_effect(program):
    result = subprocess.run([programs.BUILD / "netdeadline", "check", program], capture_output=True, text=True)
    assert result.returncode == 1 and "musl" in result.stdout, result
