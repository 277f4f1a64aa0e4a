"""Child processes that end with their parent, the cores that they may use, their garbage, and signals to stop."""
