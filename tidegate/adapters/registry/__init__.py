"""The two container registries: their data plane, import, and the tasks that test images."""
