"""Real PostgreSQL and Valkey from wheels when no server is configured."""
