"""Files that are whole or not there: written at once, locked, checked against checksums, cleared away after a kill."""
