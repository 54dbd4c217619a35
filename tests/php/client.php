<?php
// A customer's way to call api.php. Arguments: GET or POST, the URL, the parameters as a query.
// Prints {"raw": the body in hexadecimal or null, "decoded": what json_decode made of it}.

[, $method, $url, $query] = $argv;
parse_str($query, $params);

if ($method === 'POST') {
    $context = stream_context_create(array('http' => array(
        'method'  => 'POST',
        'header'  => 'Content-Type: application/x-www-form-urlencoded',
        'content' => http_build_query($params),
    )));
    $body = @file_get_contents($url, false, $context);
} else {
    $body = @file_get_contents($url . '?' . http_build_query($params));
}

echo json_encode(array(
    'raw'     => $body === false ? null : bin2hex($body),
    'decoded' => $body === false ? null : json_decode($body),
));
