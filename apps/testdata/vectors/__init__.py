"""The cases that ``generate.py`` writes, one module for each subject."""
