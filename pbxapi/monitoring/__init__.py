"""How the daemon is; the only place that knows prometheus_client."""
