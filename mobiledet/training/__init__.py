"""Training: a plain loop on Lightning Fabric."""
