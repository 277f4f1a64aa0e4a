"""An emulated ARM processor as a device: the exported file on the kernels that phones run, without a phone."""
