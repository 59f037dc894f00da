"""Dagster's view of the pipelines: a thin skin, and the only importer of dagster."""
