"""mobiledet: object detectors for phones, from COCO to a measured bundle."""

__version__ = "0.1.0"
