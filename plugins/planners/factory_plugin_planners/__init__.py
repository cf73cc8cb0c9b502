"""Ways of working for the planner: swarm, neural mesh, temporal."""
