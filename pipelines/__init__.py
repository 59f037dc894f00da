"""The books of what LLMs cost: read, price, check and report, in plain Python and SQL."""

__version__ = "0.1.0"
