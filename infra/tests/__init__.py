"""Programs that test a deployed environment from outside."""
