"""Agents of the call centre: Asterisk's queues are made to agree with what the directory says."""
