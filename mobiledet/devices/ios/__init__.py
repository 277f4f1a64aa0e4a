"""iPhones: the app's agent behind a port that a tool forwards over the cable. Not run here with a real device."""
