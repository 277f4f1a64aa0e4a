"""The model card of a bundle, as Markdown and as an HTML page."""
