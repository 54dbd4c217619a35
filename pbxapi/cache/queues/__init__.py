"""The queues of the PBX: members, callers and counters, kept as Asterisk has them."""
