"""Which network to train: forecasts from a device's table of latencies and from the boxes of a data set."""
