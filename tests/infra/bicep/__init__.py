"""Reads Bicep without a compiler: a parser for the subset `infra/` is written in, and checks over its syntax tree.

It is no compiler and proves less than one: it finds unknown properties, parameters, outputs, symbols and files.
"""
