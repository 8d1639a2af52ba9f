"""The whole stack: push to promoted on real registries and real containers."""
