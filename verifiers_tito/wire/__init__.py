"""vLLM's routes and bodies, in both directions. The client, the server plugin and the fake share them,
so the two ends cannot drift apart."""
