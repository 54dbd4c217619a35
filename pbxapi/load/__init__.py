"""A load generator: how many requests a daemon answers, how fast, and what goes wrong."""
