"""Measurements of minienc, one command each: ``python -m benchmarks.NAME``."""
