"""What ``generate.py`` writes, one module for each subject."""
