<?php // Asks with PHP's curl: URL.
$curl = curl_init($argv[1]);
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_SSL_VERIFYPEER => false, CURLOPT_SSL_VERIFYHOST => 0]);
$body = curl_exec($curl);
if ($body === false) { fwrite(STDERR, curl_error($curl) . "\n"); exit(1); }
echo $body;
