"""Many evaluations in a row: every model on every device in every precision. No torch; each step is a command."""
