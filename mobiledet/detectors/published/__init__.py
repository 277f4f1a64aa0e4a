"""Conversion of published detectors' weights from their authors' names and layouts to ours, one file per source."""
