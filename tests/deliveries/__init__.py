"""Tests of the API of deliveries: who may ask, look, decide and act, and what they see."""
