"""Tests of what only one adapter does; what fakes and adapters share is in tests/contract."""
