"""Processes that end with the one that started them, the processors they get, and how they are asked to stop."""
