"""The demo: two images from one Dockerfile, one of which deserves to be promoted."""
