"""PostgreSQL: who may call the API, which lines exist, and the schema they live in."""
