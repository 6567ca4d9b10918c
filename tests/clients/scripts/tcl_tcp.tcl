# Asks with a blocking channel: HOST PORT.
lassign $argv host port
set channel [socket $host $port]
fconfigure $channel -translation binary
puts -nonewline $channel "GET / HTTP/1.0\r\n\r\n"
flush $channel
puts -nonewline [read $channel]
