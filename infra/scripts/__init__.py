"""What releases an environment."""
