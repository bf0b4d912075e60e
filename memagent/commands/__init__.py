"""The commands of the command line: `talking.py` has those that need the model, `keeping.py` those that need the memory alone.

Each is a function that takes the parsed arguments and the settings and returns an `Outcome`; it prints nothing itself
(`chat` is the exception), so `--json` cannot but print one document.
"""
