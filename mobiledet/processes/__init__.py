"""Child processes that end with their parent, the cores that they may use, and signals that ask them to stop."""
