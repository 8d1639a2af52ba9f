"""Tests of the benchmarks: their arithmetic, and that each of them runs."""
