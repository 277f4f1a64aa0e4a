"""Measures exported files on devices, and reports the results. Does not import torch."""
