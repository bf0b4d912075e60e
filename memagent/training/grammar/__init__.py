"""The hand-written grammar: phrasings and names in TOML files, and a small engine that fills and joins them."""
