"""How good a model with this memory is, measured: `python -m evals.run`."""
