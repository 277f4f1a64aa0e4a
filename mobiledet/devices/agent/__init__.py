"""The agent: a small HTTP server that runs a bundle where it stands. apps/PROTOCOL.md says how it is spoken to."""
