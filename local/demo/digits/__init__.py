"""A small real model, handwritten digits of scikit-learn: trained in a second, served by the Azure ML inference server."""
