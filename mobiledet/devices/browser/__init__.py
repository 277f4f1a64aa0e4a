"""A page in a browser as a device: a broker serves it, forwards requests to it, and acts as an agent for the host."""
