"""The table of real programs: how each is asked for something, how it blocks, and what half an answer is to it.

{host}, {port} and {url} stand for the server, {dir} for a directory of the run's own, {scripts} for the scripts beside this
file. What a program does with a fault is not said here: the test finds out, and holds it against the same program's end on an
honest error. Only where even that looks like success to a program, its row says so, with the reason.
"""

import dataclasses
import pathlib
import re
import shutil
import typing

import clients
from faults import binary, good, lines, tcp
from programs import PYTHON

SCRIPTS = pathlib.Path(__file__).parent / "scripts"


@dataclasses.dataclass
class Protocol:
    healthy: typing.Callable
    part: bytes | None = tcp.HTTP_PART  # half an answer, sent to the first question
    stalling: typing.Callable | None = None  # or a server that stops in the middle of its answer
    part_unasked: bool = False  # the server speaks first
    scheme: str = "http"
    path: str = "/"

    @property
    def stall(self):
        """Half an answer, then silence."""
        return self.stalling or (tcp.greeting if self.part_unasked else tcp.part)(self.part)


HTTP = Protocol(good.http())
PROTOCOLS = {
    "http": HTTP,
    "postgres": Protocol(good.postgres(), stalling=good.postgres(answer=good.postgres_row()[:20])),
    "redis": Protocol(good.redis, b"$100\r\npart"),
    "git": Protocol(good.git, b"003f" + good.REFERENCE.encode()[:20], scheme="git", path="/repo"),
    "dumb git": Protocol(good.http(good.GIT_PAGES), path="/repo"),
    "ssh": Protocol(None, b"SSH-2.0-faults\r\n", part_unasked=True),
    "smtp": Protocol(lines.smtp(), stalling=lines.smtp(b"DATA")),
    "pop3": Protocol(lines.pop3(), stalling=lines.pop3(b"RETR")),
    "imap": Protocol(lines.imap(), stalling=lines.imap(b"FETCH")),
    "memcached": Protocol(lines.memcached, b"VALUE key 0 100\r\npart"),
    "line": Protocol(lines.one_line(), b"half of "),
    "mysql": Protocol(binary.mysql(), stalling=binary.mysql(b"answer")),
    "ldap": Protocol(binary.ldap(), stalling=binary.ldap(entry=False)),
    "mqtt": Protocol(binary.mqtt(), stalling=binary.mqtt(acknowledges=False)),
    "dav": Protocol(None),
    "sink": Protocol(good.sink, b"half of "),
    "names": Protocol(None),
    "greeting": Protocol(good.saying(b"hello\n"), b"half of ", part_unasked=True),
    "rsync": Protocol(None, b"@RSYNCD: 31.0 md5\n", part_unasked=True),
    "ftp": Protocol(None, b"220-half of a gree", part_unasked=True, scheme="ftp"),
    "svn": Protocol(None, b"( success ( 2 2 ( ) ( edit-pipeline", part_unasked=True, scheme="svn", path="/repo"),
}


@dataclasses.dataclass
class Row:
    name: str
    package: str
    style: str  # how it blocks
    argv: list
    speaks: str = "http"
    tls: bool = False
    expiries: int = 1  # limits in a row: addresses, tries
    port: int = 0  # a program that knows only the port of its service
    stdin: bytes | None = None  # what it sends; None: nothing to read
    numeric: bool = False  # it is given addresses only
    beside_stdin: bool = False  # it waits for its input, too, which stays open and says nothing
    outlives_peer: bool = False  # it ends when its input does, not when the server does
    sends: bool = False  # an upload: its faults are a peer that never reads and one that is gone
    slow: float = 0  # seconds it takes to start beside many others
    unseen: dict = dataclasses.field(default_factory=dict)  # faults that the library cannot end, or "all": why
    as_on_error: dict = dataclasses.field(default_factory=dict)  # faults that it ends in as badly as in an honest error: why
    other: typing.Callable = lambda text: text  # removes what differs from run to run
    variables: dict = dataclasses.field(default_factory=dict)
    answer: bytes = b"hello"  # what its output holds when all is well
    answers_in: str = ""  # or the file in {dir} that holds it
    files: dict = dataclasses.field(default_factory=dict)  # in {dir}, before it starts

    @property
    def protocol(self):
        return PROTOCOLS[self.speaks]

    @property
    def missing(self):
        return not shutil.which(self.argv[0])

    def command(self, host, port, directory):
        """The command line; writes the files that it needs."""
        scheme = self.protocol.scheme + ("s" if self.tls and self.protocol.scheme == "http" else "")
        known = {"{host}": host, "{port}": str(port), "{url}": f"{scheme}://{host}:{port}{self.protocol.path}",
                 "{dir}": str(directory), "{scripts}": str(SCRIPTS)}

        def filled(argument):
            for name, value in known.items():
                argument = argument.replace(name, value)
            return argument

        for name, text in self.files.items():
            (directory / name).write_text(filled(text))
            (directory / name).chmod(0o600)
        return [filled(argument) for argument in self.argv]


def script(name, package, style, command, file, by="{host} {port}", **more):
    return Row(name, package, style, [*command.split(), "{scripts}/" + file, *by.split()], **more)


def row(name, package, style, command, *last, **more):
    return Row(name, package, style, [*command.split(), *last], **more)


def timeless(text):
    """Without dates, times and speeds."""
    return re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|[\d.,]+ [KM]?B/s|\d+\.\d+ seconds", b"", text)


def numberless(text):
    return re.sub(rb"[ \d.]+", b"", text)


def without_session(text):
    """Without what differs in each TLS session."""
    return b"".join(line for line in text.splitlines(True) if b"Session" not in line and b"Ephemeral" not in line)


# The exceptions, each of which is proven by a run on a real error without the library.
NO_STATUS = "its exit status is 0 after any error"
TAKEN_FOR_END = "it takes a broken connection for its end"
AGAIN = "each attempt ends in time, but bytes that came are progress to it, and it asks again without end"
STDIO = {"drip": "in stdio the kernel keeps RECV, and its timer starts anew with each byte"}
READING = ("silence", "stall", "gone", "drip")
NAMES = ("no DNS answer", "DNS TC, silent TCP")
CONNECTING = (*NAMES, "dropped SYN", "full backlog")
PSQL = "host={host} port={port} user=u dbname=d sslmode=disable gssencmode=disable"

ROWS = [
    # HTTP clients
    row("curl", "curl", "poll, short, with an eventfd; lookup in a thread", "curl -q -sS {url}"),
    row("wget", "wget", "blocking", "wget --tries=1 -q -O- -T0 {url}"),
    row("wget2", "wget2", "poll in threads", "wget2 --tries=1 -q -T0 --no-config -O- {url}", as_on_error=dict.fromkeys(CONNECTING + READING, NO_STATUS)),
    row("aria2c", "aria2", "epoll, short", "aria2c --no-conf -q -m1 -t600 --connect-timeout=600 --async-dns=false -d {dir} "
        "--allow-overwrite=true -o out {url}", answers_in="out"),
    row("lynx", "lynx", "select on a non-blocking connect, then read", "lynx -cfg=/dev/null -source {url}", unseen={"drip": "it shows what came before an ETIMEDOUT, and ends with 0; after ECONNRESET it asks again"}),
    row("w3m", "w3m", "blocking", "w3m -config /dev/null -dump_source {url}", as_on_error=dict.fromkeys(CONNECTING + READING, NO_STATUS)),
    row("links", "links", "select", "links -source {url}"),
    row("elinks", "elinks", "select", "elinks -no-home -source {url}", unseen={"drip": AGAIN}),
    row("httpie", "httpie", "blocking", "http --ignore-stdin --timeout=0 --body {url}", variables={"HTTPIE_CONFIG_DIR": "."},
        slow=10, files={"config.json": '{"disable_update_warnings": true}'}),
    row("axel", "axel", "threads", "axel -q -n2 -T86400 -o {dir}/out {url}", answers_in="out",
        as_on_error={**dict.fromkeys(("dropped SYN", "full backlog"), "it writes all the same, and dies of SIGPIPE"), **dict.fromkeys(("stall", "gone", "drip"), AGAIN)}),
    row("lftp", "lftp", "poll, short", "lftp -c", "set net:max-retries 1; set net:timeout never; set net:persist-retries 0; set dns:max-retries 1; cat {url}"),
    row("busybox wget", "busybox", "stdio on a socket", "busybox wget -q -O- {url}"),
    row("git http", "git", "curl in a child process", "git ls-remote {url}", speaks="dumb git", answer=b"refs/heads/main"),
    row("svn", "subversion", "apr, poll", "svn --non-interactive --config-dir {dir} ls http://{host}:{port}/", speaks="dav"),
    row("apt-helper", "apt", "select on pipes; a child per scheme",
        "/usr/lib/apt/apt-helper -o Acquire::http::Timeout=86400 -o Acquire::Retries=0 -o APT::Sandbox::User=root "
        "download-file {url} {dir}/out", answers_in="out", other=timeless),
    row("ab", "apache2-utils", "epoll", "ab -q -n1 -s86400 {url}", answer=b"Complete requests:      1", other=numberless),
    row("siege", "siege", "threads", "siege --rc=/dev/null -q -b -c1 -r1 {url}", answer=b"", other=numberless, as_on_error=dict.fromkeys(CONNECTING + READING, NO_STATUS)),
    # Languages
    row("python3 urllib", "python3", "blocking", PYTHON + " -c", clients.PYTHON_URLLIB, "{url}"),
    script("python3 http.client", "python3", "blocking", PYTHON, "python_http.py"),
    row("python3 asyncio", "python3", "epoll, infinite; lookup in a thread", PYTHON + " -c", clients.PYTHON_ASYNCIO, "{host}", "{port}"),
    script("python3 select", "python3", "select, short", PYTHON, "python_select.py"),
    script("python3 stdin", "python3", "poll, infinite, beside stdin", PYTHON, "python_poll_stdin.py", beside_stdin=True),
    script("python3 threads", "python3", "threads", PYTHON, "python_threads.py"),
    script("python3 fork", "python3", "a child on its parent's socket", PYTHON, "python_fork.py"),
    script("perl LWP", "libwww-perl", "select, long", "perl", "perl_lwp.pl", by="{url}"),
    row("perl IO::Socket", "perl", "blocking", "perl -e", clients.PERL % ("INET", "INET", ""), "{host}", "{port}"),
    script("perl select", "perl", "select, short, beside stdin", "perl", "perl_select.pl", beside_stdin=True),
    row("ruby net/http", "ruby", "poll", "ruby -e", clients.RUBY, "{url}", expiries=2),
    script("ruby threads", "ruby", "threads", "ruby", "ruby_socket.rb"),
    row("php streams", "php-cli", "poll", "php -n -d default_socket_timeout=-1 -r", clients.PHP, "{url}"),
    script("php curl", "php-curl", "poll", "php", "php_curl.php", by="{url}", unseen={"all": "PHP loads its extensions with RTLD_DEEPBIND"}),
    script("php select", "php-cli", "select", "php -n", "php_socket.php"),
    script("node http", "nodejs", "epoll; lookup in a thread", "node", "node_http.js", by="{url}"),
    script("node net", "nodejs", "epoll", "node", "node_net.js"),
    script("java Socket", "bsh", "poll, infinite, on a non-blocking connect", "bsh", "java_socket.bsh", slow=12),
    script("java http", "bsh", "poll", "bsh", "java_http.bsh", by="{url}", expiries=2, slow=12),
    script("java Selector", "bsh", "epoll", "bsh", "java_channel.bsh", slow=12),
    script("lua socket", "lua-socket", "poll, one socket, infinite", "lua5.4", "lua_tcp.lua"),
    script("lua http", "lua-socket", "poll", "lua5.4", "lua_http.lua", by="{url}"),
    script("tcl", "tcl", "blocking; a thread of its own notifies", "tclsh", "tcl_tcp.tcl"),
    script("tcl events", "tcl", "epoll in a helper thread", "tclsh", "tcl_events.tcl"),
    script("bash", "bash", "blocking, in a child", "bash", "bash_tcp.sh"),
    script("gawk", "gawk", "blocking", "gawk -f", "gawk_tcp.awk", variables={"GAWK_SOCK_RETRIES": "1"}, as_on_error=dict.fromkeys(READING, TAKEN_FOR_END)),
    # Connections by hand
    row("nc.openbsd", "netcat-openbsd", "poll, infinite, beside stdin", "nc.openbsd {host} {port}", speaks="greeting", beside_stdin=True, as_on_error=dict.fromkeys(READING, NO_STATUS), outlives_peer=True),
    row("nc.traditional", "netcat-traditional", "select beside stdin", "nc.traditional {host} {port}", speaks="greeting", beside_stdin=True, as_on_error=dict.fromkeys(READING, NO_STATUS)),
    row("ncat", "ncat", "epoll or select beside stdin", "ncat {host} {port}", speaks="greeting", beside_stdin=True, outlives_peer=True),
    row("socat", "socat", "select beside stdin", "socat -t0.2 - TCP:{host}:{port}", speaks="greeting", beside_stdin=True),
    row("telnet", "inetutils-telnet", "select beside stdin", "inetutils-telnet {host} {port}", speaks="greeting", beside_stdin=True, as_on_error=dict.fromkeys(READING, TAKEN_FOR_END)),
    # File transfer and version control
    row("git daemon", "git", "blocking", "git ls-remote {url}", speaks="git", answer=b"refs/heads/main"),
    row("svn daemon", "subversion", "apr, poll", "svn --non-interactive --config-dir {dir} ls {url}", speaks="svn"),
    row("rsync", "rsync", "select", "rsync --contimeout=0 rsync://{host}:{port}/", speaks="rsync"),
    row("lftp ftp", "lftp", "poll, short", "lftp -c", "set net:max-retries 1; set net:timeout never; set net:persist-retries 0; set dns:max-retries 1; ls ftp://{host}:{port}/",
        speaks="ftp"),
    row("curl ftp", "curl", "poll", "curl -q -sS {url}", speaks="ftp"),
    row("ftp", "inetutils-ftp", "stdio on a socket", "inetutils-ftp -n {host} {port}", speaks="ftp", as_on_error=dict.fromkeys(CONNECTING + READING, NO_STATUS), unseen=STDIO),
    row("tnftp", "tnftp", "stdio on a socket", "tnftp -q0 -n -o- ftp://{host}:{port}/file", speaks="ftp"),
    row("ssh", "openssh-client", "poll", " ".join(clients.SSH) + " -p {port} nobody@{host} true", speaks="ssh"),
    row("sftp", "openssh-client", "ssh in a child process", "sftp -F none -o BatchMode=yes -P {port} nobody@{host}", speaks="ssh"),
    row("scp", "openssh-client", "ssh in a child process", "scp -F none -o BatchMode=yes -P {port} nobody@{host}:file {dir}/out",
        speaks="ssh"),
    row("dbclient", "dropbear-bin", "select", "dbclient -y -y -T -p {port} nobody@{host} true", speaks="ssh"),
    # Databases and queues
    row("psql", "postgresql-client", "poll", "psql -X -At -c", "select 1", PSQL, speaks="postgres", answer=b"1\n"),
    row("mariadb", "mariadb-client-core", "poll", "mariadb --no-defaults -h {host} -P {port} -u u --skip-ssl -Nse",
        "select 'answer'", speaks="mysql", as_on_error=dict.fromkeys(NAMES, "it asks again without end after EAI_AGAIN")),
    row("redis-cli", "redis-tools", "blocking", "redis-cli -h {host} -p {port} PING", speaks="redis", answer=b"PONG", expiries=4),
    row("memccat", "libmemcached-tools", "poll, infinite", "memccat --servers={host}:{port} key", speaks="memcached", expiries=4),
    row("mosquitto_pub", "mosquitto-clients", "select, short", "mosquitto_pub -h {host} -p {port} -q 1 -i me -t topic -m hello",
        speaks="mqtt", answer=b""),
    row("ldapsearch", "ldap-utils", "poll", "ldapsearch -x -LLL -H ldap://{host}:{port} -b cn=hello cn", speaks="ldap"),
    # Mail and small questions
    row("curl smtp", "curl", "poll", "curl -q -sS smtp://{host}:{port} --mail-from a@b --mail-rcpt c@d -T -", speaks="smtp", answer=b"",
        stdin=lines.MAIL),
    row("curl imap", "curl", "poll", "curl -q -sS -u u:p imap://{host}:{port}/INBOX;MAILINDEX=1", speaks="imap"),
    row("swaks", "swaks", "perl, blocking with its own alarm", "swaks -s {host} -p {port} -t c@d -f a@b --timeout 0 -hr -hs", speaks="smtp", answer=b""),
    row("msmtp", "msmtp", "stdio-like blocking reads", "msmtp --host={host} --port={port} -f a@b c@d", speaks="smtp", answer=b"", stdin=lines.MAIL),
    row("s-nail", "s-nail", "blocking", "s-nail -:/ -Sv15-compat -Smta=smtp://{host}:{port} -Ssmtp-auth=none -Sfrom=a@b -Ssendwait -s hello c@d",
        speaks="smtp", answer=b"", stdin=b"hello\n"),
    row("fetchmail", "fetchmail", "blocking", "fetchmail -f {dir}/rc --nodetach --invisible --pidfile {dir}/pid", speaks="pop3",
        files={"rc": "poll {host} protocol pop3 port {port} timeout 0 user me password secret sslproto '' fetchall mda cat\n"}),
    row("whois", "whois", "stdio on a socket", "whois -h {host} -p {port} question", speaks="line", unseen=STDIO),
    row("finger", "finger", "stdio on a socket", "finger me@{host}", speaks="line", port=79, as_on_error=dict.fromkeys(READING, TAKEN_FOR_END), unseen=STDIO),
    # TLS
    row("curl https", "curl", "poll", "curl -q -sS -k {url}", tls=True),
    row("wget https", "wget", "GnuTLS, blocking", "wget --tries=1 -q -O- -T0 --no-check-certificate {url}", tls=True),
    row("wget2 https", "wget2", "GnuTLS, poll", "wget2 --tries=1 -q -T0 --no-config --no-check-certificate --no-ocsp -O- {url}", tls=True, as_on_error=dict.fromkeys(("TLS silence", "TLS stall", "TLS drip"), NO_STATUS)),
    row("lynx https", "lynx", "GnuTLS", "lynx -cfg={dir}/lynx.cfg -source {url}", tls=True,
        files={"lynx.cfg": "FORCE_SSL_PROMPT:YES\n"}, as_on_error=dict.fromkeys(("TLS stall", "TLS drip"), TAKEN_FOR_END)),
    row("python3 https", "python3", "OpenSSL, blocking", PYTHON + " -c", clients.PYTHON_URLLIB, "{url}", tls=True),
    row("perl https", "libio-socket-ssl-perl", "OpenSSL, blocking", "perl -e", clients.PERL % ("SSL", "SSL", ", SSL_verify_mode => 0"),
        "{host}", "{port}", tls=True),
    row("ruby https", "ruby", "OpenSSL, non-blocking", "ruby -e", clients.RUBY, "{url}", tls=True, expiries=2),
    row("php https", "php-cli", "OpenSSL, poll", "php -n -d default_socket_timeout=86400 -r", clients.PHP, "{url}", tls=True),
    script("node https", "nodejs", "its own OpenSSL, epoll", "node", "node_http.js", by="{url}", tls=True),
    row("git https", "git", "GnuTLS under curl", "git -c http.sslVerify=false ls-remote {url}", speaks="dumb git", answer=b"refs/heads/main", tls=True),
    row("openssl s_client", "openssl", "select beside stdin", "openssl s_client -quiet -connect {host}:{port}", speaks="greeting", beside_stdin=True, tls=True),
    row("gnutls-cli", "gnutls-bin", "select beside stdin", "gnutls-cli --insecure -p {port} {host}", speaks="greeting", other=without_session, beside_stdin=True, tls=True),
    row("ncat ssl", "ncat", "OpenSSL, non-blocking", "ncat --ssl {host} {port}", speaks="greeting", beside_stdin=True, tls=True, outlives_peer=True),
    row("socat ssl", "socat", "OpenSSL beside stdin", "socat -t0.2 - OPENSSL:{host}:{port},verify=0", speaks="greeting", beside_stdin=True, tls=True),
    # Uploads
    row("curl upload", "curl", "poll", "curl -q -sS -H Expect: -T - {url}", sends=True),
    row("wget upload", "wget", "blocking", "wget --tries=1 -q -O- -T0 --method=PUT --body-file=/dev/stdin {url}", sends=True),
    row("python3 upload", "python3", "blocking", PYTHON + " -c", clients.PYTHON_UPLOAD, "http", "{host}", "{port}", sends=True),
    row("perl upload", "perl", "blocking", "perl -e", clients.PERL_UPLOAD % ("INET", "INET", ""), "{host}", "{port}", sends=True),
    row("ruby upload", "ruby", "non-blocking with poll", "ruby -e", clients.RUBY_UPLOAD, "{url}", sends=True, expiries=2),
    row("php upload", "php-cli", "poll", "php -n -d default_socket_timeout=-1 -r", clients.PHP_UPLOAD, "{url}", sends=True),
    row("nc.openbsd upload", "netcat-openbsd", "poll for room beside stdin", "nc.openbsd -N {host} {port}", sends=True, speaks="sink", as_on_error=dict.fromkeys(("never reads", "gone upload"), NO_STATUS)),
    row("ncat upload", "ncat", "select", "ncat {host} {port}", sends=True, speaks="sink"),
    row("socat upload", "socat", "select for room", "socat -t86400 - TCP:{host}:{port}", sends=True, speaks="sink"),
    row("redis-cli upload", "redis-tools", "blocking write", "redis-cli -h {host} -p {port} -x SET key", sends=True, speaks="redis"),
    row("swaks upload", "swaks", "perl, blocking", "swaks -s {host} -p {port} -t c@d -f a@b --timeout 0 -hr -hs --body -", sends=True, speaks="smtp", answer=b""),
    row("curl https upload", "curl", "poll", "curl -q -sS -k -H Expect: -T - {url}", sends=True, tls=True),
    row("python3 https upload", "python3", "OpenSSL, blocking", PYTHON + " -c", clients.PYTHON_UPLOAD, "https", "{host}", "{port}", sends=True, tls=True),
    # Names and datagrams only
    row("getent", "libc-bin", "getaddrinfo", "getent ahosts {host}", speaks="names"),
    row("ping", "iputils-ping", "getaddrinfo, then a raw socket", "ping -c1 -W5 {host}", speaks="names"),
    row("snmpget", "snmp", "select on UDP", "snmpget -v2c -c public -t1 -r0 {host}:{port} sysUpTime.0", speaks="names"),
    row("perl gethostbyname", "perl", "gethostbyname", "perl -e", "my @h = gethostbyname($ARGV[0]) or die \"no address\\n\"; print join '.', unpack 'C4', $h[4]", "{host}", speaks="names"),
    row("dig", "bind9-dnsutils", "its own resolver, libuv", "dig +tcp +tries=1 +timeout=600 {host}", speaks="names"),
]
