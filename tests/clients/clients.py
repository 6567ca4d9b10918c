"""The real programs: how each is asked for something, what a healthy server for it is, and what half an answer is."""

import dataclasses
import typing

from faults import good, tcp, tls
from programs import PYTHON

PYTHON_URLLIB = """
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
print(urllib.request.urlopen(sys.argv[1], context=context).read())
"""

PYTHON_SOCKET = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
connection.settimeout(None)
connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
while data := connection.recv(65536):
    print(data)
"""

PYTHON_SSL = """
import socket, ssl, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
secure = ssl._create_unverified_context().wrap_socket(connection, server_hostname=sys.argv[1])
secure.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
while data := secure.recv(65536):
    print(data)
"""

PERL = """
use strict; use IO::Socket::%s;
my $s = IO::Socket::%s->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1]%s) or die "connect: $@ $!\\n";
print $s "GET / HTTP/1.0\\r\\n\\r\\n";
while (1) {
    my $n = sysread($s, my $data, 65536);
    die "read: $!\\n" unless defined $n;
    last unless $n;
    print $data;
}
"""

PYTHON_ASYNCIO = """
import asyncio, sys
async def ask(host, port):
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(await reader.read())
asyncio.run(ask(*sys.argv[1:]))
"""

PERL_HTTP = """
use HTTP::Tiny;
my $answer = HTTP::Tiny->new->get($ARGV[0]);
print $answer->{content};
exit !$answer->{success};
"""

PHP = """
$tls = stream_context_create(["ssl" => ["verify_peer" => false, "verify_peer_name" => false]]);
$body = @file_get_contents($argv[1], false, $tls);
if (error_get_last()) { fwrite(STDERR, error_get_last()["message"] . "\\n"); exit(1); }
// PHP takes a reset for the end of the file: a careful program looks at how much it got.
foreach ($http_response_header as $line)
    if (sscanf($line, "Content-Length: %d", $length) && strlen($body) < $length) { fwrite(STDERR, "short answer\\n"); exit(1); }
echo $body;
"""

RUBY = """
require "net/http"; require "openssl"
uri = URI(ARGV[0])
Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https", verify_mode: OpenSSL::SSL::VERIFY_NONE) do |http|
  puts http.get("/").body
end
"""

PYTHON_UPLOAD = """
import socket, ssl, sys
connection = socket.create_connection((sys.argv[2], int(sys.argv[3])))
if sys.argv[1] == "https":
    connection = ssl._create_unverified_context().wrap_socket(connection)
data = sys.stdin.buffer.read()
connection.sendall(b"PUT / HTTP/1.0\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(data) + data)
print(connection.recv(65536))
"""

PERL_UPLOAD = """
use strict; use IO::Socket::%s;
my $s = IO::Socket::%s->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1]%s) or die "connect: $@ $!\\n";
local $/; my $data = <STDIN>;
$s->autoflush(1);
print $s "PUT / HTTP/1.0\\r\\nContent-Length: " . length($data) . "\\r\\n\\r\\n" . $data or die "print: $!\\n";
print scalar <$s>;
"""

PHP_UPLOAD = """
$put = stream_context_create(["http" => ["method" => "PUT", "content" => stream_get_contents(STDIN),
                                        "header" => "Content-Type: text/plain"]]);
echo @file_get_contents($argv[1], false, $put);
if (error_get_last()) { fwrite(STDERR, error_get_last()["message"] . "\\n"); exit(1); }
"""

RUBY_UPLOAD = """
require "net/http"
uri = URI(ARGV[0])
Net::HTTP.start(uri.host, uri.port) { |http| puts http.send_request("PUT", "/", STDIN.read).body }
"""

SSH = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]


@dataclasses.dataclass
class Client:
    argv: typing.Callable  # (host, port) -> command line
    healthy: typing.Callable = good.http()  # the behaviour that satisfies it
    part: typing.Callable = tcp.part()  # the behaviour that gives it half an answer
    retries: int = 1  # how often it tries, each time up to the limit


def by_url(*command, scheme="http", path="/", options=(), **more):
    return Client(lambda host, port: [*command, f"{scheme}://{host}:{port}{path}", *options], **more)


def by_host(*command, **more):
    return Client(lambda host, port: [*command, host, port], **more)


def perl(module, more=""):
    return by_host("perl", "-e", PERL % (module, module, more))


def git(*config, scheme="http", path="/repo", **more):
    return by_url("git", *config, "ls-remote", scheme=scheme, path=path, **more)


PLAIN = {
    "curl": by_url("curl", "-q", "-sS"),
    "wget": by_url("wget", "--tries=1", "-nv", "-O-"),
    "python3-urllib": by_url(PYTHON, "-c", PYTHON_URLLIB),
    "python3-socket": by_host(PYTHON, "-c", PYTHON_SOCKET),
    "python3-asyncio": by_host(PYTHON, "-c", PYTHON_ASYNCIO),
    "perl-inet": perl("INET"),
    "perl-http-tiny": by_url("perl", "-e", PERL_HTTP),
    "busybox": by_url("busybox", "wget", "-q", "-O-"),
    "php": by_url("php", "-n", "-r", PHP),
    "ruby": by_url("ruby", "-e", RUBY, retries=2),  # Net::HTTP asks again once after an error
    "psql": Client(lambda host, port: ["psql", "-X", "-At", "-c", "select 1",
                                       f"host={host} port={port} user=u dbname=d sslmode=disable gssencmode=disable"],
                   healthy=good.postgres(), part=good.postgres(answer=good.postgres_row()[:20])),
    "redis-cli": Client(lambda host, port: ["redis-cli", "-h", host, "-p", port, "PING"],
                        healthy=good.redis, part=tcp.part(b"$100\r\npart"),
                        retries=4),  # connects twice, each time for IPv4 and then for IPv6
    "git-http": git(healthy=good.http(good.GIT_PAGES)),
    "git-daemon": git(scheme="git", healthy=good.git, part=tcp.part(b"003f" + good.REFERENCE.encode()[:20])),
    "ssh": Client(lambda host, port: [*SSH, "-p", port, f"nobody@{host}", "true"],
                  healthy=None, part=tcp.greeting(b"SSH-2.0-faults\r\n")),
}

TLS = {
    "curl": by_url("curl", "-q", "-sS", "-k", scheme="https"),
    "wget": by_url("wget", "--tries=1", "-nv", "-O-", "--no-check-certificate", scheme="https"),
    "python3-urllib": by_url(PYTHON, "-c", PYTHON_URLLIB, scheme="https"),
    "python3-ssl": by_host(PYTHON, "-c", PYTHON_SSL),
    "perl-ssl": perl("SSL", ", SSL_verify_mode => 0"),
    "php": by_url("php", "-n", "-r", PHP, scheme="https"),
    "ruby": by_url("ruby", "-e", RUBY, scheme="https", retries=2),
    "git-https": git("-c", "http.sslVerify=false", scheme="https", healthy=good.http(good.GIT_PAGES)),
    "openssl": Client(lambda host, port: ["openssl", "s_client", "-quiet", "-connect", f"{host}:{port}"],
                      healthy=good.saying(b"hello\n"), part=tcp.greeting(b"the first part, ")),
}
# Clients that send their standard input.
UPLOAD = {
    "curl": by_url("curl", "-q", "-sS", "-H", "Expect:", "-T", "-"),
    "wget": by_url("wget", "--tries=1", "-O-", "--method=PUT", "--body-file=/dev/stdin"),
    "python3": by_host(PYTHON, "-c", PYTHON_UPLOAD, "http"),
    "perl": by_host("perl", "-e", PERL_UPLOAD % ("INET", "INET", "")),
    "php": by_url("php", "-n", "-r", PHP_UPLOAD),
    "ruby": by_url("ruby", "-e", RUBY_UPLOAD, retries=2),
    "redis-cli": Client(lambda host, port: ["redis-cli", "-h", host, "-p", port, "-x", "SET", "key"], healthy=good.redis),
}

TLS_UPLOAD = {
    "curl": by_url("curl", "-q", "-sS", "-k", "-H", "Expect:", "-T", "-", scheme="https"),
    "python3": by_host(PYTHON, "-c", PYTHON_UPLOAD, "https"),
    "perl": by_host("perl", "-e", PERL_UPLOAD % ("SSL", "SSL", ", SSL_verify_mode => 0")),
}

for client in [*TLS.values(), *TLS_UPLOAD.values()]:
    client.healthy, client.part = tls.over_tls(client.healthy), tls.over_tls(client.part)

PYTHON_CLOSE = """
import socket, ssl, sys
secure = ssl._create_unverified_context().wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2]))))
secure.unwrap()
"""

PERL_CLOSE = """
use IO::Socket::SSL;
my $s = IO::Socket::SSL->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1], SSL_verify_mode => 0) or die "connect: $@ $!\\n";
$s->stop_SSL(SSL_fast_shutdown => 0) or die "close: $!\\n";
"""

# Clients that wait for the peer's close_notify.
TLS_CLOSE = {
    "python3": by_host(PYTHON, "-c", PYTHON_CLOSE),
    "perl": by_host("perl", "-e", PERL_CLOSE),
}
