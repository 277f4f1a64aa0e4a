"""Measure exported files on devices, and show what came out. No torch."""
