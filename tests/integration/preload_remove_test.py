"""packaging/preload-remove takes one package's library out of /etc/ld.so.preload, and nothing else."""

import subprocess

import pytest

import programs

OWN = "/usr/lib/i386-linux-gnu/libnetdeadline.so"
OTHER = "/usr/lib/x86_64-linux-gnu/libnetdeadline.so"


@pytest.fixture
def remove(tmp_path):
    """remove(LIST, NATIVE, others): what is left of the list, None for no file."""

    def run(text, native=True, others=False):
        (tmp_path / "list").write_text(text)
        for name in ["i386", "x86_64"] if others else ["i386"]:
            library = tmp_path / f"usr/lib/{name}-linux-gnu/libnetdeadline.so"
            library.parent.mkdir(parents=True, exist_ok=True)
            library.touch()
        script = (programs.ROOT / "packaging/preload-remove").read_text()
        for old, new in [("list=/etc/ld.so.preload", f"list={tmp_path}/list"), ("units=/etc/systemd/system", f"units={tmp_path}/units"), ("is_native() { true; }", f"is_native() {{ {str(native).lower()}; }}"),
                         ("library=/usr/lib64/libnetdeadline.so", f"library={OWN}"), ("for other in /usr/lib/*/libnetdeadline.so", f"for other in {tmp_path}/usr/lib/*/libnetdeadline.so"),
                         ('"$other" = "$library"', f'"$other" = "{tmp_path}$library"')]:
            assert old in script
            script = script.replace(old, new)
        subprocess.run(["/bin/sh", "-c", script], check=True)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("list")] in (["list"], [])
        return (tmp_path / "list").read_text() if (tmp_path / "list").exists() else None

    return run


@pytest.mark.parametrize("name", ["/usr/$LIB/libnetdeadline.so", "/$LIB/libnetdeadline.so", "/usr/${LIB}/libnetdeadline.so", "libnetdeadline.so", OWN,
                                  "/lib/i386-linux-gnu/libnetdeadline.so"])
def test_the_last_one(remove, name):
    assert remove(name + "\n") is None
    assert remove(f"/opt/a.so:{name} {name}\t/opt/b.so # {name}\n") == f"/opt/a.so: \t/opt/b.so # {name}\n"


def test_the_rest_stays_as_it_is(remove):
    rest = f"# libnetdeadline.so\n\n/opt/libnetdeadline.so.1 /opt/libnetdeadline.so\n  \n/usr/local/$LIB/libnetdeadline.so\n{OTHER}\n"
    assert remove(rest) == rest
    assert remove(rest + "/usr/$LIB/libnetdeadline.so\n") == rest
    assert remove("/opt/a.so\n") == "/opt/a.so\n"


@pytest.mark.parametrize("native", [True, False])
def test_another_architecture_stays(remove, native):
    """Its programs go on being bounded, but not at the price of complaints from those that do the removing."""
    left = remove(f"/usr/$LIB/libnetdeadline.so\n{OWN}\n{OTHER}\n", native, others=True)
    assert left == (f"{OTHER}\n" if native else f"/usr/$LIB/libnetdeadline.so\n{OTHER}\n")


def drop_in(tmp_path, unit, preload, first="# PATH, by netdeadline 0.1.0", last=""):
    path = tmp_path / f"units/{unit}.service.d/netdeadline.conf"
    path.parent.mkdir(parents=True)
    path.write_text(f'{first}\n[Service]\nEnvironment="LD_PRELOAD={preload}"\nEnvironment="NETDEADLINE_RECV=30s"\n{last}')
    return path


def test_enabled_services_are_left_without(remove, tmp_path):
    """What `netdeadline enable UNIT` wrote goes with the library that it names, and so does a copy made for the service."""
    copy = tmp_path / "copies/libnetdeadline.so"
    copy.parent.mkdir()
    copy.touch()
    gone = [drop_in(tmp_path, "a", "/usr/$LIB/libnetdeadline.so"), drop_in(tmp_path, "b", f"/a.so:{OWN}:/b.so"),
            drop_in(tmp_path, "c", copy, last=f"# A copy of the library, made for this service: {copy}\n")]
    kept = [drop_in(tmp_path, "d", "/usr/local/$LIB/libnetdeadline.so"), drop_in(tmp_path, "e", OWN, first="# By hand")]
    beside = tmp_path / "units/a.service.d/own.conf"
    beside.touch()
    assert remove("/opt/a.so\n") == "/opt/a.so\n"
    assert not any(path.exists() for path in [*gone, copy, copy.parent, gone[1].parent]), list(tmp_path.rglob("*"))
    assert all(path.exists() for path in [*kept, beside])


def test_enabled_services_keep_another_architecture(remove, tmp_path):
    kept, gone = drop_in(tmp_path, "a", "/usr/$LIB/libnetdeadline.so"), drop_in(tmp_path, "b", OWN)
    remove("", native=False, others=True)
    assert kept.exists() and not gone.exists()
