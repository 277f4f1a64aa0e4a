"""Converters from a mobiledet checkpoint to the files that phones run: TFLite and Core ML."""
