<?php
// What PHP itself makes of a request: for each superglobal a list of [name, value], both in hex
// because they may be any bytes; the value of an array is null.
function pairs(array $variables): array
{
    $pairs = [];
    foreach ($variables as $name => $value) {
        $pairs[] = [bin2hex((string) $name), is_array($value) ? null : bin2hex($value)];
    }
    return $pairs;
}

header('Content-Type: application/json');
echo json_encode(['get' => pairs($_GET), 'post' => pairs($_POST), 'request' => pairs($_REQUEST)]);
