"""What must hold before the image may serve."""
