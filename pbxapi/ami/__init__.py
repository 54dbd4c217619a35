"""The Asterisk Manager Interface: bytes, messages, one session, the manager that keeps one."""
