"""The sample company: made-up files as a small software company would have them, the same bytes on every machine."""

from pipelines.sample.writing import SampleReport, write

__all__ = ["SampleReport", "write"]
