"""The Functions host: rules as tables, small real apps through the real worker library, queues on the storage emulator."""
