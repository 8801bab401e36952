"""Damaged files for everything that reads: ``make fuzz``, or ``python -m tests.fuzz --help``."""
