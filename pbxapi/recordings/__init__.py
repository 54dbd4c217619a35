"""Recordings on disk: where they may be, and moving one without ever losing it."""
