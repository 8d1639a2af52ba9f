"""Serves models on the Azure ML inference server: an image in, a list of detections out."""
