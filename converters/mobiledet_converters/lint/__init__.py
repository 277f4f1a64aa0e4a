"""Finds problems of a model file on CPUs, GPUs and NPUs before it is shipped."""
