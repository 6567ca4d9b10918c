"""No client turns in circles after an expiry, whatever it makes of the error."""

import json
import shutil

import pytest

import programs
from faults import tcp, tls

# Runs a program for 5 s at most, and tells of its processor time, and whether it ended by itself.
WATCH = """
import json, os, resource, subprocess, sys
program = subprocess.Popen(sys.argv[2:], env=dict(os.environ, LD_PRELOAD=sys.argv[1]), stdin=subprocess.DEVNULL, stdout=2)
try:
    ended = program.wait(5) != 0
except subprocess.TimeoutExpired:
    ended = False
    program.kill()
    program.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([ended, used.ru_utime + used.ru_stime]))
"""

PYTHON = """
import select, socket, ssl, sys
plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
plain.setblocking(False)
secure = ssl._create_unverified_context().wrap_socket(plain, do_handshake_on_connect=False)
def until_done(call, *arguments):
    while True:
        try:
            return call(*arguments)
        except ssl.SSLWantReadError:
            select.select([secure], [], [])
        except ssl.SSLWantWriteError:
            select.select([], [secure], [])
until_done(secure.do_handshake)
until_done(secure.send, b"question")
print(until_done(secure.recv, 10))
"""

PERL = """
use IO::Socket::SSL; use IO::Socket::INET; use IO::Select;
my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]");
$s->blocking(0);
IO::Socket::SSL->start_SSL($s, SSL_startHandshake => 0, SSL_verify_mode => 0);
sub wait_or_die {
    if ($SSL_ERROR == SSL_WANT_READ) { IO::Select->new($s)->can_read }
    elsif ($SSL_ERROR == SSL_WANT_WRITE) { IO::Select->new($s)->can_write }
    else { die $SSL_ERROR }
}
until ($s->connect_SSL) { wait_or_die() }
print $s "question";
my $answer;
until (sysread($s, $answer, 100)) { wait_or_die() }
"""

RUBY = """
require 'socket'
require 'openssl'
context = OpenSSL::SSL::SSLContext.new
context.verify_mode = OpenSSL::SSL::VERIFY_NONE
secure = OpenSSL::SSL::SSLSocket.new(TCPSocket.new('127.0.0.1', ARGV[0].to_i), context)
begin
  secure.connect_nonblock
rescue IO::WaitReadable
  IO.select([secure])
  retry
end
secure.write('question')
begin
  secure.read_nonblock(100)
rescue IO::WaitReadable
  IO.select([secure])
  retry
end
"""

PHP = """
$s = stream_socket_client('tcp://127.0.0.1:' . $argv[1]);
stream_context_set_option($s, ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
stream_set_blocking($s, false);
$none = null;
while (($r = stream_socket_enable_crypto($s, true, STREAM_CRYPTO_METHOD_TLS_CLIENT)) === 0) {
    $in = [$s];
    stream_select($in, $none, $none, null);
}
$r or exit(1);
fwrite($s, 'question');
while (!feof($s)) {
    $in = [$s];
    stream_select($in, $none, $none, null);
    fread($s, 100);
}
exit(1);
"""

CLIENTS = {
    "libmosquitto": ["mosquitto_sub", "-h", "127.0.0.1", "-p", "{port}", "-t", "x", "--cafile", "{certificate}", "--insecure"],
    "libmosquitto publishing": ["mosquitto_pub", "-h", "127.0.0.1", "-p", "{port}", "-t", "x", "-m", "y", "--cafile", "{certificate}",
                                "--insecure"],
    "librabbitmq": ["amqp-get", "-u", "amqps://127.0.0.1:{port}/", "--cacert", "{certificate}", "-q", "x"],
    "librdkafka": ["kcat", "-L", "-m", "4", "-b", "127.0.0.1:{port}", "-X", "security.protocol=ssl", "-X",
                   "enable.ssl.certificate.verification=false"],
    "libcurl": ["curl", "-sk", "https://127.0.0.1:{port}/"],
    "serf": ["svn", "--non-interactive", "--trust-server-cert-failures=unknown-ca,cn-mismatch,other", "ls", "https://127.0.0.1:{port}/x"],
    "Python": [programs.PYTHON, "-c", PYTHON, "{port}"],
    "Perl": ["perl", "-e", PERL, "{port}"],
    "Ruby": ["ruby", "-e", RUBY, "{port}"],
    "PHP": ["php", "-r", PHP, "{port}"],
}


@pytest.mark.parametrize("stalls, behaviour", [("handshake", tcp.silent), ("answer", tls.over_tls(tcp.silent))], ids=["handshake", "answer"])
@pytest.mark.parametrize("client", CLIENTS)
def test_processor_time(net, client, stalls, behaviour):
    argv = [word.format(port=net.serve(behaviour).port, certificate=tls.certificate()) if word[:1] != "\n" else word
            for word in CLIENTS[client]]
    if not shutil.which(argv[0]):
        pytest.skip(f"{argv[0]} is missing")
    if programs.RUNTIME and client == "libcurl":
        pytest.skip("curl with a sanitizer's runtime alone hangs in setlocale")
    limits = programs.environment(TLS_HANDSHAKE="700ms", RECV="700ms", TLS_SHUTDOWN="700ms")
    result = net.run([programs.PYTHON, "-c", WATCH, limits.pop("LD_PRELOAD"), *argv], library=False, variables=limits)
    ended, seconds = json.loads(result.out)
    assert seconds < 1, (ended, seconds, result)
    if client not in ("librdkafka", "libmosquitto"):  # these try again, and wait for more at any time
        assert ended, result
