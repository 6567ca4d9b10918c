# Asks by gawk's own sockets: HOST PORT.
BEGIN {
    service = "/inet/tcp/0/" ARGV[1] "/" ARGV[2]
    printf "GET / HTTP/1.0\r\n\r\n" |& service
    while ((status = (service |& getline line)) > 0)
        print line
    if (status < 0) {
        print "read: " ERRNO > "/dev/stderr"
        exit 1
    }
}
