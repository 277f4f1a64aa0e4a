/// Version of the package, equal to that of the Python package of the same release.
public let mobileDetVersion = "0.2.0"
