"""The outside services, one module each: the only place that knows a vendor's SDK."""
