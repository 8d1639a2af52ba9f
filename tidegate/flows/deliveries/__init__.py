"""Deliveries: a version of a model goes through the stages of its gate."""
