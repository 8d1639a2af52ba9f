"""Models: what is known of a version, what its gate asks, and what both come to."""
