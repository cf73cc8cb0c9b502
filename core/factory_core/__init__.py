"""The Factory Studio kernel: hooks, contracts, specifications, plans, durable builds."""
