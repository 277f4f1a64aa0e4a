"""Child processes that end with their parent, processor cores, signals to stop, pauses of the garbage collector."""
