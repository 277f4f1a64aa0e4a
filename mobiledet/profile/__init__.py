"""Costs and run time of a network, checked against the four guidelines of ShuffleNet V2."""
