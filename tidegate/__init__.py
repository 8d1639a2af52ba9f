"""Tidegate: event-driven automation for machine learning on Azure; images, jobs and models move through gates."""
