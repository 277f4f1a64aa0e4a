"""A bundle's model card: what people should know before they ship it, as Markdown and as a page."""
