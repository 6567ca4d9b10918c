<?php // Asks with stream_socket_client in a stream_select without end: HOST PORT.
$socket = stream_socket_client("tcp://$argv[1]:$argv[2]", $errno, $error, 86400);
if (!$socket) { fwrite(STDERR, "$error\n"); exit(1); }
stream_set_blocking($socket, false);
fwrite($socket, "GET / HTTP/1.0\r\n\r\n");
for ($answer = ""; !feof($socket);) {
    $read = [$socket]; $none = null;
    stream_select($read, $none, $none, null);
    $answer .= fread($socket, 65536);
}
if (!preg_match('/Content-Length: (\d+)\r\n.*?\r\n\r\n(.*)/s', $answer, $part) || strlen($part[2]) < $part[1]) {
    fwrite(STDERR, "short answer\n"); exit(1); // PHP takes a reset for the end
}
echo $answer;
