"""Images: from a push to staging to a tag in the healthy registry."""
