"""Speed as ratios measured in one run against the bare engine. ``python -m benchmarks`` runs them."""
