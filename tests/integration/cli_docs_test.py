"""The manual pages are well formed and tell of every setting, as the command's help does."""

import re
import shutil
import subprocess

import pytest

import programs

COMMAND = programs.BUILD / "netdeadline"
DOCS = programs.ROOT / "docs"
PAGES = sorted(DOCS.glob("*.[1-9]"))


def man(page, *options):
    result = subprocess.run(["man", *options, "-l", page], capture_output=True, text=True, timeout=30,
                            env={"LC_ALL": "C.UTF-8", "MANWIDTH": "400", "PATH": "/usr/bin:/bin"})
    assert result.returncode == 0, result
    return result


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_no_warnings(page):
    assert man(page, "--warnings").stderr == ""


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_in_order_for_mandoc(page):
    result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_example_of_the_config_page_is_in_order(tmp_path):
    text = man(DOCS / "netdeadline.conf.5").stdout
    example = text[text.index("# Everything"):text.index("SEE ALSO")]
    (tmp_path / "c").write_text(example)
    result = subprocess.run([COMMAND, "config", "--check", tmp_path / "c"], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "") and "[inbound :8080]" in example


def settings():
    """Each option of `netdeadline run` that stands for a setting, and its default."""
    text = subprocess.run([COMMAND, "run", "--help"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^  --([a-z-]+) .*\[(.*)\]$", text, re.M)
    assert len(found) >= 26, text
    return found


def test_library_page_tells_each_setting_and_default():
    text = re.sub(r"\s+", " ", man(DOCS / "libnetdeadline.7").stdout)
    for option, default in settings():
        name = option.upper().replace("-", "_")
        if name.startswith("INBOUND_"):
            assert re.search(rf"INBOUND_X The same .*\b{name.removeprefix('INBOUND_')}\b.* All are off but INBOUND_UNACKED", text), name
        else:
            assert re.search(rf"\b{name}(, [A-Z_, ]+)? \({re.escape(default)}\)", text), (name, default)


def test_command_page_tells_each_option():
    text = man(DOCS / "netdeadline.1").stdout
    for option, _ in settings():
        assert option.startswith("inbound-") or f"--{option}" in text, option


def test_version_is_the_same_everywhere():
    version = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    for page in PAGES:
        assert f'"{version}"' in page.read_text(), page
    assert f"## {version.split()[1]} " in (programs.ROOT / "CHANGELOG.md").read_text()
