"""Fixtures of the contract tests."""

from tests.storage_fixtures import account, emulator, fresh_name

__all__ = ["account", "emulator", "fresh_name"]
