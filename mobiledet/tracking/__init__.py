"""Objects followed from frame to frame, and counted where they cross lines and stay in zones."""
