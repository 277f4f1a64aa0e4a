"""Signs bundles, so that apps can install new models at run time: ``mobiledet sign``."""
