# Asks by bash's own sockets: HOST PORT.
exec 3<>"/dev/tcp/$1/$2" || exit 1
printf 'GET / HTTP/1.0\r\n\r\n' >&3
cat <&3
