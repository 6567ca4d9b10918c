"""`netdeadline enable`, `disable` and `status`, in a mount namespace with an /etc and /usr/local of their own.

The command is installed there with a harmless library in the place of ours, but for the tests of what runs under it. systemd is
a script: it notes what it is asked for, and says of a unit what the test has written.
"""

import ctypes.util
import os
import pathlib
import re
import shutil
import subprocess
import sysconfig
import time

import pytest

import programs

LIB = f"lib/{sysconfig.get_config_var('MULTIARCH')}"
LIBRARY = f"/usr/local/{LIB}/libnetdeadline.so"
PRELOAD, CONFIG, UNITS = "/etc/ld.so.preload", "/etc/netdeadline.conf", "/etc/systemd/system"
WITHOUT_SANITIZER = pytest.mark.skipif(bool(programs.RUNTIME), reason="a sanitizer's runtime must be loaded first")

SYSTEMCTL = """#!/bin/sh
echo "$*" >>{0}/calls
for unit; do :; done
case $1 in
show) cat "{0}/$unit" 2>/dev/null || printf 'Id=%s\\nLoadState=not-found\\n' "$unit" ;;
restart) [ ! -e {0}/restart ] || . {0}/restart ;;
esac
"""


def harmless_library():
    name = ctypes.util.find_library("m")
    return next(path for directory in [f"/{LIB}", f"/usr/{LIB}", "/lib64", "/usr/lib64"] if (path := pathlib.Path(directory, name)).exists())


class Host:
    """What the command takes for the host."""

    def __init__(self, net, directory, library):
        self.net, self.systemd = net, directory / "systemd"
        self.local = directory / "local"
        for path in ("bin", LIB):
            (self.local / path).mkdir(parents=True)
        self.systemd.mkdir()
        shutil.copy(programs.BUILD / "netdeadline", self.local / "bin")
        shutil.copy(library, self.local / LIB / "libnetdeadline.so")
        (self.systemd / "systemctl").write_text(SYSTEMCTL.format(self.systemd))
        (self.systemd / "systemctl").chmod(0o755)
        (self.systemd / "calls").touch()
        (directory / "etc").mkdir()
        self.shell(f"cp -a /etc/. {directory}/etc 2>/dev/null; rm -f {directory}/etc/ld.so.preload {directory}/etc/netdeadline.conf;"
                   f"mount --bind {directory}/etc /etc && mount --bind {self.local} /usr/local && touch /etc/is-private && mkdir -p {UNITS}")
        assert (directory / "etc/is-private").exists() and not pathlib.Path("/etc/is-private").exists()

    def shell(self, script):
        result = subprocess.run(self.net.command(["sh", "-c", script]), capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result
        return result.stdout

    def unit(self, name, **properties):
        text = "".join(f"{key}={value}\n" for key, value in {"Id": name, "LoadState": "loaded", "MainPID": 0, **properties}.items())
        (self.systemd / name).write_text(text)

    def __call__(self, *arguments, status=0):
        variables = {**programs.environment(library=False), "PATH": f"{self.systemd}:{os.environ['PATH']}:/usr/sbin:/sbin"}
        argv = self.net.command(["env", "/usr/local/bin/netdeadline", *arguments])
        result = subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert result.returncode == status, result
        return result.stdout + result.stderr

    def read(self, path):
        """A file in there, None for no file; a directory's names."""
        return self.shell(f"if [ -d {path} ]; then ls {path}; elif [ -e {path} ]; then cat {path}; else echo none; fi").replace("none\n", "") or None

    def write(self, path, text):
        subprocess.run(self.net.command(["sh", "-c", f"cat >{path}"]), input=text, text=True, check=True)

    def calls(self):
        """What systemd was asked to do, but for questions."""
        return [line for line in (self.systemd / "calls").read_text().splitlines() if not line.startswith("show")]


@pytest.fixture
def host(net, tmp_path):
    return Host(net, tmp_path, harmless_library())


def drop_in(host, unit):
    return host.read(f"{UNITS}/{unit}.d/netdeadline.conf")


def test_a_service_and_twice(host):
    host.unit("x.service", MainPID=os.getpid(), ExecStart="{ path=/bin/sleep ; argv[]=/bin/sleep 1 ; ignore_errors=no }")
    said = host("enable", "--recv", "30s", "--log", "syslog", "x")
    assert "/x.service.d/netdeadline.conf" in said and f"process {os.getpid()} goes on as it is" in said and "systemctl restart x.service" in said
    text = drop_in(host, "x.service")
    assert 'Environment="LD_PRELOAD=/usr/local/$LIB/libnetdeadline.so"' in text and 'Environment="NETDEADLINE_RECV=30s"' in text
    assert host.calls() == ["daemon-reload"]
    assert "is as it should be already" in host("enable", "--recv", "30s", "--log", "syslog", "x.service")
    assert drop_in(host, "x.service") == text
    host("enable", "--connect", "3s", "x")
    assert "NETDEADLINE_CONNECT=3s" in drop_in(host, "x.service") and "RECV" not in drop_in(host, "x.service")
    assert host.read(f"{UNITS}/x.service.d").split() == ["netdeadline.conf"]
    assert host.shell(f"stat -c %a {UNITS}/x.service.d/netdeadline.conf") == "644\n"
    assert "removed:" in host("disable", "x") and host.read(f"{UNITS}/x.service.d") is None
    assert "is not there" in host("disable", "x") and host.calls() == ["daemon-reload"] * 5


def test_restart_of_what_runs(host):
    host.unit("x.service", MainPID=os.getpid())
    host("enable", "--now", "x", status=1)  # the script restarts nothing, so that the process is found without
    assert host.calls() == ["daemon-reload", "restart x.service"]
    host.unit("y.service", MainPID=0)
    assert "its next start is under the library" in host("enable", "--now", "y")
    assert host.calls()[2:] == ["daemon-reload"]


def test_a_template(host):
    """systemd says nothing of one but by its instances."""
    host.unit("x@netdeadline.service", MainPID=0, LoadState="loaded")
    said = host("enable", "x@.service")
    assert drop_in(host, "x@.service") and "systemctl restart 'x@*.service'" in said and "does not answer" not in said
    host("enable", "--now", "x@")
    host.unit("x@a.service", MainPID=os.getpid(), Environment=f"LD_PRELOAD={LIBRARY} A=b", DropInPaths=f"{UNITS}/x@.service.d/netdeadline.conf")
    said = host("disable", "--now", "x@a.service")
    assert f"it stays under the library by another file: {UNITS}/x@.service.d/netdeadline.conf" in said
    host.unit("y@netdeadline.service", MainPID=0, Id="x@netdeadline.service")
    assert "removed:" in host("disable", "--now", "y@") and host.read(f"{UNITS}/x@.service.d") is None
    reload, every = "daemon-reload", "restart x@*.service"
    assert host.calls() == [reload, reload, every, reload, reload, every]


def test_other_drop_ins_stay(host):
    host.unit("x.service")
    host.shell(f"mkdir {UNITS}/x.service.d; echo '[Service]' >{UNITS}/x.service.d/a.conf")
    host("enable", "x")
    host("disable", "x")
    assert host.read(f"{UNITS}/x.service.d") == "a.conf\n"
    host.write(f"{UNITS}/x.service.d/netdeadline.conf", "[Service]\nEnvironment=LD_PRELOAD=x\n")
    assert "left as it is" in host("enable", "x", status=125) and "left as it is" in host("disable", "x", status=125)
    assert drop_in(host, "x.service").startswith("[Service]")


def test_without_systemd_and_without_a_unit(host):
    assert "not-found" in host("enable", "y", status=127) and host.read(f"{UNITS}/y.service.d") is None
    (host.systemd / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    assert "systemd does not answer" in host("enable", "x") and drop_in(host, "x.service")
    assert "removed:" in host("disable", "x")


@pytest.mark.parametrize("arguments", [["enable"], ["enable", "a", "b"], ["enable", "../x"], ["enable", "x.socket"], ["enable", "--recv", "x", "a"],
                                       ["enable", "--system", "x"], ["enable", "--system", "--now"], ["enable", "--no-trial", "x"], ["disable"],
                                       ["disable", "--system", "x"], ["disable", "--recv", "1s", "x"], ["status", "x"]])
def test_wrong_usage(arguments):
    result = subprocess.run([programs.BUILD / "netdeadline", *arguments], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout) == (2, ""), result


def test_an_alias_stands_for_its_service(host):
    host.unit("real.service")
    (host.systemd / "alias.service").write_text((host.systemd / "real.service").read_text())
    host("enable", "alias")
    assert drop_in(host, "real.service") and not drop_in(host, "alias.service")
    host("disable", "alias")
    assert not drop_in(host, "real.service")


HINDRANCES = {
    "InaccessiblePaths": "/usr/local", "TemporaryFileSystem": "/usr:ro", "RootImage": "/a.raw", "UnsetEnvironment": "LD_PRELOAD",
    "SystemCallFilter": "read write openat", "EnvironmentFiles": "/etc/default/x (ignore_errors=yes)",
    "ExecStart": "{ path=/sbin/ldconfig ; argv[]=/sbin/ldconfig }",
}


@pytest.mark.parametrize("option", HINDRANCES)
def test_what_the_unit_forbids(host, option):
    host.write("/etc/default/x", "A=1\nLD_PRELOAD=/x.so\n")
    host.unit("x.service", **{option: HINDRANCES[option]})
    said = host("enable", "x", status=1)
    assert "  bad  " in said and "nothing was changed" in said and drop_in(host, "x.service") is None and host.calls() == []
    host("enable", "--force", "x")
    assert drop_in(host, "x.service")


def test_what_the_unit_forbids_and_is_put_right(host):
    """Debian's redis-server, and a service with preloads of its own."""
    host.unit("x.service", NoExecPaths="/", ExecPaths="/usr/bin/redis-server /usr/lib /lib", ProtectSystem="strict", ProtectHome="yes",
              MemoryDenyWriteExecute="yes", SystemCallFilter="~ reboot swapon", Environment=f'A=1 "LD_PRELOAD=/a.so {LIBRARY} /b.so"')
    said = host("enable", "--log", "/var/log/x.log", "x")
    text = drop_in(host, "x.service")
    assert f"\nExecPaths={LIBRARY}\n" in text and 'Environment="LD_PRELOAD=/usr/local/$LIB/libnetdeadline.so:/a.so:/b.so"' in text
    assert "ProtectSystem=strict" in said and "MemoryDenyWriteExecute" in said and "SystemCallFilter= allows" in said
    # systemd tells of the drop-in's ExecPaths=, too, which is not to be taken for the unit's own
    host.unit("x.service", NoExecPaths="/", ExecPaths=f"/usr/bin/redis-server /usr/lib /lib {LIBRARY}", Environment=f"LD_PRELOAD={LIBRARY}:/a.so")
    host("enable", "x")
    assert f"\nExecPaths={LIBRARY}\n" in drop_in(host, "x.service") and 'libnetdeadline.so:/a.so"' in drop_in(host, "x.service")
    host.unit("y.service", NoExecPaths="/", ExecPaths="/usr/local", ReadWritePaths="/var/log", ProtectSystem="strict")
    said = host("enable", "--log", "/var/log/x.log", "y")
    assert "ExecPaths" not in drop_in(host, "y.service").split("# The library needs")[0] and "ProtectSystem" not in said


def test_a_copy_for_another_root(host, tmp_path):
    (tmp_path / "root").mkdir()
    host.unit("x.service", RootDirectory=tmp_path / "root")
    host("enable", "x")
    copy = tmp_path / "root/usr/local/lib/netdeadline/libnetdeadline.so"
    assert copy.read_bytes() == harmless_library().read_bytes() and 'LD_PRELOAD=/usr/local/lib/netdeadline/libnetdeadline.so"' in drop_in(host, "x.service")
    host("disable", "x")
    assert not copy.exists() and not copy.parent.exists()


@pytest.mark.parametrize("place", ["/root/netdeadline", "/usr/local/others"])
def test_a_library_in_a_bad_place_is_copied(host, place):
    """Where others can write, or what services do not see. Two services share the copy."""
    host.shell(f"mount -t tmpfs none /root; mkdir -p {place}; cp {LIBRARY} {place}; chmod 777 {place}; mkdir -p {UNITS}")
    for unit in ("x.service", "y.service"):
        host.unit(unit)
        host("enable", "--library", f"{place}/libnetdeadline.so", unit)
        assert 'LD_PRELOAD=/usr/local/lib/netdeadline/libnetdeadline.so"' in drop_in(host, unit)
    assert host.shell("stat -c %a /usr/local/lib/netdeadline/libnetdeadline.so") == "644\n"
    host("disable", "x")
    assert host.read("/usr/local/lib/netdeadline") == "libnetdeadline.so\n"
    host("disable", "y")
    assert host.read("/usr/local/lib/netdeadline") is None


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_drop_in_is_one_for_systemd(host, tmp_path):
    host.unit("x.service", NoExecPaths="/", RootDirectory=tmp_path)
    host("enable", "--log", 'syslog', "--recv", "30s", "x")
    (tmp_path / "x.service").write_text("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n")
    (tmp_path / "x.service.d").mkdir()
    (tmp_path / "x.service.d/netdeadline.conf").write_text(drop_in(host, "x.service"))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "x.service"], capture_output=True, text=True, timeout=60)
    assert str(tmp_path) not in result.stderr and "netdeadline" not in result.stderr, result


def enable_system(host, *arguments, status=0):
    return host("enable", "--system", "--no-trial", *arguments, status=status)


def test_everything_and_twice(host):
    said = enable_system(host)
    assert host.read(PRELOAD) == "/usr/local/$LIB/libnetdeadline.so\n" and "MODE = observe" in host.read(CONFIG) and "MODE = observe" in said
    config = host.read(CONFIG)
    assert "already" in enable_system(host) and (host.read(PRELOAD), host.read(CONFIG)) == ("/usr/local/$LIB/libnetdeadline.so\n", config)
    assert "every program that starts" in host("status")
    host("disable", "--system")
    assert host.read(PRELOAD) is None and host.read(CONFIG) is None
    assert "does not have the library" in host("disable", "--system")


def test_a_service_that_enforces_is_told_of_observe(host):
    """It would no longer be bounded: what its own drop-in does not say is taken from the file."""
    host.unit("x.service")
    host.unit("y.service")
    host("enable", "x", "--recv", "30s")
    host("enable", "y", "--recv", "30s", "--mode", "enforce")
    said = enable_system(host)
    assert "x.service takes this MODE, too" in said and "y.service takes" not in said, said
    assert "takes this MODE" not in enable_system(host, "--mode", "enforce")


def test_what_is_there_stays(host):
    host.write(PRELOAD, f"/opt/a.so # {LIBRARY}\n\n{harmless_library()}")
    host.write(CONFIG, "# mine\nRECV = 9s\n[program x]\nMODE = off\n")
    host.shell(f"chmod 640 {CONFIG}")
    enable_system(host, "--connect", "3s", "--force")
    assert host.read(PRELOAD) == f"/opt/a.so # {LIBRARY}\n\n{harmless_library()}\n/usr/local/$LIB/libnetdeadline.so\n"
    config = host.read(CONFIG)
    assert config.endswith("# mine\nRECV = 9s\n[program x]\nMODE = off\n") and "CONNECT = 3s\nMODE = observe\n" in config
    assert host.shell(f"stat -c %a {CONFIG}") == "640\n"
    assert host.shell(f"netdeadline=/usr/local/bin/netdeadline; $netdeadline config --check {CONFIG} 2>/dev/null") == ""
    assert f"{CONFIG}:" in enable_system(host, "--recv", "1s", "--force", status=125)
    enable_system(host, "--mode", "enforce")
    assert "MODE = enforce" in host.read(CONFIG) and "CONNECT" not in host.read(CONFIG)
    host("disable", "--system")
    assert host.read(PRELOAD) == f"/opt/a.so # {LIBRARY}\n\n{harmless_library()}\n" and host.read(CONFIG) == "# mine\nRECV = 9s\n[program x]\nMODE = off\n"


def test_the_mode_of_the_administrator_holds(host):
    host.write(CONFIG, "mode = enforce\n")
    assert "line 1" in enable_system(host) and host.read(CONFIG) == "mode = enforce\n"


def test_a_link_stays_one(host):
    host.shell(f"mkdir /etc/elsewhere; echo {harmless_library()} >/etc/elsewhere/list; ln -s elsewhere/list {PRELOAD}")
    enable_system(host)
    assert host.shell(f"readlink {PRELOAD}") == "elsewhere/list\n" and host.read("/etc/elsewhere/list").endswith("/libnetdeadline.so\n")
    host("disable", "--system")
    assert host.read("/etc/elsewhere/list") == f"{harmless_library()}\n" and host.read("/etc/elsewhere") == "list\n"


def test_a_full_disk_does_not_keep_it_in(host):
    host.shell(f"mkdir {UNITS}/full && mount -t tmpfs -o size=64k,nr_inodes=10 none {UNITS}/full && ln -s {UNITS}/full/list {PRELOAD}")
    host.write(f"{UNITS}/full/list", f"{harmless_library()}\n")
    enable_system(host)
    host.shell(f"for i in 1 2 3 4 5 6 7 8 9 10 11; do echo x >{UNITS}/full/$i || break; done 2>/dev/null; true")
    host("disable", "--system")
    text = host.read(PRELOAD)
    assert text.startswith(f"{harmless_library()}\n") and "netdeadline" not in text and text.split() == [str(harmless_library())]


def test_a_file_system_that_cannot_be_written(host):
    host.unit("x.service")
    host("enable", "x")
    enable_system(host)
    host.shell("mount -o remount,bind,ro /etc")
    assert "Read-only" in host("enable", "--recv", "1s", "x", status=125) and "Read-only" in host("disable", "x", status=125)
    assert "Read-only" in host("disable", "--system", status=125)
    host.shell("mount -o remount,bind,rw /etc")
    assert host.read(f"{UNITS}/x.service.d") == "netdeadline.conf\n"


def test_a_library_that_others_can_write_is_for_nobody(host):
    host.shell(f"mkdir /usr/local/others && chmod 777 /usr/local/others && cp {LIBRARY} /usr/local/others")
    assert "can be replaced by others" in enable_system(host, "--library", "/usr/local/others/libnetdeadline.so", status=1)
    assert host.read(PRELOAD) is None and host.read(CONFIG) is None


def test_a_library_that_breaks_programs_is_found_by_the_trial(host, other_users, tmp_path):
    """The host never sees it."""
    (tmp_path / "bad.c").write_text("#include <stdlib.h>\n#include <unistd.h>\n"
                                    "__attribute__((constructor)) static void start(void) { if (getauxval_is_secure()) _exit(3); }\n"
                                    .replace("getauxval_is_secure()", "!secure_getenv(\"PATH\") && getenv(\"PATH\")"))
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", host.local / LIB / "libnetdeadline.so", tmp_path / "bad.c"], check=True)
    said = host("enable", "--system", status=1)
    assert re.search(r"bad   \S+ \(set-uid\) ends with 3 instead of 0", said) and "nothing was changed" in said, said
    assert host.read(PRELOAD) is None and host.read(CONFIG) is None


def test_a_library_that_is_none_is_found_by_the_trial(host):
    (host.local / LIB / "libnetdeadline.so").write_text("no library\n")
    said = host("enable", "--system", status=1)
    assert "the shell does not have the library" in said and host.read(PRELOAD) is None and host.read(CONFIG) is None
    assert "the line was taken out again" in enable_system(host, status=1) and host.read(PRELOAD) is None


@WITHOUT_SANITIZER
def test_the_whole_way_with_the_library(net, tmp_path):
    """Tried, written, seen by programs, by `status`, and gone."""
    host = Host(net, tmp_path, programs.LIBRARY)
    said = host("enable", "--system", "--recv", "20s")
    assert re.search(r"good  [1-9]\d* programs of this host were tried", said) and "bad" not in said, said
    sleeper = net.start(["sleep", "60"], library=False)
    assert LIBRARY in host.shell("cat /proc/self/maps")
    until = time.monotonic() + 30
    while not re.search(rf"^ *{sleeper.process.pid} +sleep .* with$", host("status"), re.M):
        assert time.monotonic() < until  # it may not have come to its exec yet
    assert '"RECV":"20s"' in (settings := host("stats", "--json", str(sleeper.process.pid))) and '"MODE":"observe"' in settings
    off = net.start(["env", "NETDEADLINE_MODE=off", "sleep", "60"], library=False)  # for one command
    until = time.monotonic() + 30
    while not re.search(rf"^ *{off.process.pid} +sleep .* with, passes through$", host("status"), re.M):
        assert time.monotonic() < until
    host("set", str(sleeper.process.pid), "MODE=off")  # for one process that runs
    host("disable", "--system")
    assert LIBRARY not in host.shell("cat /proc/self/maps")


@WITHOUT_SANITIZER
def test_status_of_services(net, tmp_path):
    host = Host(net, tmp_path, programs.LIBRARY)
    running = net.start(["sleep", "60"])
    host.unit("x.service", MainPID=running.process.pid)
    host("enable", "x")
    host.shell("touch /etc/netdeadline.disable")
    said = host("status", status=1)
    assert f"x.service: {UNITS}/x.service.d/netdeadline.conf" in said and "/etc/netdeadline.disable exists" in said
    host.shell("rm /etc/netdeadline.disable")
    assert "keeps the library until the next restart" in host("disable", "x")


@WITHOUT_SANITIZER
def test_a_program_that_is_executed_after_the_restart(net, tmp_path):
    """As systemd does it, which sets up a sandbox first."""
    host = Host(net, tmp_path, programs.LIBRARY)
    script = f"sleep 0.5; LD_PRELOAD={programs.LIBRARY} exec sleep 60"
    running = net.start(["sh", "-c", f"while [ ! -e {host.systemd}/restarted ]; do sleep 0.05; done; {script}"], library=False)
    host.unit("x.service", MainPID=running.process.pid)
    (host.systemd / "restart").write_text(f"touch {host.systemd}/restarted")
    assert f"restarted: process {running.process.pid} has the library" in host("enable", "--now", "x")


@WITHOUT_SANITIZER
def test_a_library_that_may_not_be_executed(net, tmp_path):
    """The loader gives up half way, and leaves a part of it in the process: that is not the library."""
    host = Host(net, tmp_path, programs.LIBRARY)
    enable_system(host)
    host.shell("mount --bind /usr/local/lib /usr/local/lib && mount -o remount,bind,noexec /usr/local/lib")
    running = net.start(["sleep", "60"], library=False)
    until = time.monotonic() + 30
    while not re.search(rf"^ *{running.process.pid} +sleep .* without: its file may not be executed", said := host("status"), re.M):
        assert time.monotonic() < until, said
    assert "not loaded" in host("check", str(running.process.pid), status=1)


@WITHOUT_SANITIZER
def test_the_command_itself_runs_without(net, tmp_path):
    """It has the state block that `guard` shows, and that nobody else uses."""
    host = Host(net, tmp_path, programs.LIBRARY)
    running = net.start([programs.BUILD / "netdeadline", "exporter", "--textfile", tmp_path / "page"], library=False)
    until = time.monotonic() + 30
    while not (tmp_path / "page").exists():
        assert time.monotonic() < until
    enable_system(host)
    assert re.search(rf"^ *{running.process.pid} +netdeadline .* without: not started anew", said := host("status"), re.M), said


def test_two_at_once(host):
    """Both lists are whole, whoever was first."""
    variables = {**programs.environment(library=False), "PATH": f"{host.systemd}:{os.environ['PATH']}"}
    argv = host.net.command(["env", "/usr/local/bin/netdeadline", "enable", "--system", "--no-trial"])
    both = [subprocess.Popen(argv, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [each.wait(60) for each in both] == [0] * 3
    assert host.read(PRELOAD) == "/usr/local/$LIB/libnetdeadline.so\n" and host.read(CONFIG).count("MODE") == 1
