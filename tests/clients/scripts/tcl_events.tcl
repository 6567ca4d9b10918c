# Asks under Tcl's event loop, without a timer: HOST PORT.
lassign $argv host port
set channel [socket -async $host $port]
fconfigure $channel -blocking 0 -translation binary
fileevent $channel writable {
    fileevent $channel writable {}
    if {[set error [fconfigure $channel -error]] ne ""} { puts stderr $error; exit 1 }
    puts -nonewline $channel "GET / HTTP/1.0\r\n\r\n"
    flush $channel
    fileevent $channel readable {
        if {[catch {read $channel} data]} { puts stderr $data; exit 1 }
        puts -nonewline $data
        if {[eof $channel]} { exit 0 }
    }
}
vwait forever
