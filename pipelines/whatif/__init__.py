"""What if: levers replayed on the rows of the ledger. Nothing here is part of a run, and nothing is written but what is asked for."""
