"""The export audit, and that it notices; and that documents and comments name files that there are."""

import re
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


NAME = r"(?<![\w./<%$*{}:?-])((?:[\w-]+/)*[\w-]+\.(?:c|h|def|py|md))(?![\w/*.(])"
ELSEWHERE = {"sys/sdt.h", "res_send.c", "Objects/locations.md", "shim/hook/FILE.c", "tests/unit/NAME_test.c"}  # others' files, and examples


def prose(path):
    """What a file tells: of a source its comments."""
    text = path.read_text()
    if path.suffix == ".md":
        return text
    return "\n".join(re.findall(r"#[^\n]*" if path.suffix == ".py" else r"/\*.*?\*/|//[^\n]*", text, flags=re.DOTALL))


def test_files_that_documents_and_comments_name_are_there():
    """A name may leave out the folders in front, or be relative to where it stands."""
    folders = ["base", "resolver", "shim", "cli", "tests", "docs"]
    files = [path for folder in folders for path in (programs.ROOT / folder).rglob("*") if path.is_file()]
    documents = [*programs.ROOT.glob("*.md"), *(path for path in files if path.suffix in {".c", ".h", ".def", ".md", ".py"})]
    known = {"/" + str(path.relative_to(programs.ROOT)) for path in [*files, *documents]}
    ends = {name[at:] for name in known for at, letter in enumerate(name) if letter == "/"}
    missing = {
        f"{path.relative_to(programs.ROOT)}: {name}"
        for path in documents
        for name in re.findall(NAME, prose(path))
        if name not in ELSEWHERE and "/" + name not in ends
    }
    assert not missing
