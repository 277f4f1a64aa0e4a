"""The agent: a small HTTP server that runs bundles on its machine. apps/PROTOCOL.md specifies its protocol."""
