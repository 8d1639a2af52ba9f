"""Why a run does not begin or go on here. Whoever started it has to change something: to start it again is no use."""

from __future__ import annotations


class RefusedError(ValueError):
    """The message names the thing and the rule; what is on disk is as before."""
