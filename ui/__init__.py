"""The chat in the browser, with the memory beside it: `python -m ui`."""
