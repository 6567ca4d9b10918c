# Asks on a socket that is waited for beside standard input, in short waits: HOST PORT.
use strict;
use IO::Select;
use IO::Socket::INET;
my $socket = IO::Socket::INET->new(PeerHost => $ARGV[0], PeerPort => $ARGV[1]) or die "connect: $@ $!\n";
$socket->syswrite("GET / HTTP/1.0\r\n\r\n") or die "write: $!\n";
my $set = IO::Select->new($socket, \*STDIN);
while (1) {
    for my $ready ($set->can_read(0.1)) {
        my $n = sysread($ready, my $data, 65536);
        die "read: $!\n" unless defined $n;
        if ($ready != $socket) { $set->remove($ready) unless $n; next }
        exit 0 unless $n;
        print $data;
    }
}
