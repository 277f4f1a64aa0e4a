"""A page in a browser as a device: a broker serves it, hands it requests, and is an agent to the host."""
