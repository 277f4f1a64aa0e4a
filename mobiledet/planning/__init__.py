"""Recommends a network to train, by predictions from a device's latency table and from the boxes of a data set."""
