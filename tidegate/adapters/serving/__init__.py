"""Where models serve: endpoints, container groups, this machine, or a pipeline that does it."""
