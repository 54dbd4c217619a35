"""`pbxapi check`: looks at everything that the daemon needs, changes nothing, says what to do."""
