"""iPhones: the app's agent behind a port that a tool forwards over the cable. Not tested with a real device."""
