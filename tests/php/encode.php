<?php
// Reads one PHP literal in a line, evaluates it, and prints what json_encode makes of it, in hex:
// by default, then with bare slashes.
while (($line = fgets(STDIN)) !== false) {
    $value = eval('return ' . $line . ';');
    echo bin2hex(json_encode($value)), ' ', bin2hex(json_encode($value, JSON_UNESCAPED_SLASHES)), "\n";
}
