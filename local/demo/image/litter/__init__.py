"""Preprocessing and prediction of the litter classifier, in plain Python."""
