/// Of the package; that of the Python package it was released with.
public let mobileDetVersion = "0.2.0"
