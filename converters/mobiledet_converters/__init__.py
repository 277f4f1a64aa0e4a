"""Converters from a mobiledet checkpoint to model files for phones: TFLite, Core ML and Core AI."""
