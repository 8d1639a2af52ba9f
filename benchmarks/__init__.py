"""Figures of what the product and the local stack cost, each beside a reference measured in the same run."""
