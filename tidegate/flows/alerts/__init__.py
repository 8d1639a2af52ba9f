"""Alerts: what goes wrong becomes incidents, and incidents become mails."""
