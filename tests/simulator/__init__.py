"""A deterministic world around the production flows, runner, effects and intake, in which everything that may go wrong does.

Every call of a port is a point where another worker may run, the worker may die, or the call may fail in one of the ways of
the fault palette. Time is virtual. What happens is a sequence of choices, so that every run can be repeated.
Three drivers choose: exhaustively within small bounds (`explore`), at random from a seed (`seeds`), and Hypothesis.
"""
