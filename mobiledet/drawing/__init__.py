"""Pages, charts and images for the reports of training and of measurements. Does not import torch."""
