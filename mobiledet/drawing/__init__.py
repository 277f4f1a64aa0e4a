"""Pages, charts and pictures: what the reports of training and of measurements are drawn with. No torch."""
