"""The teacher: data sets, the hand-written grammar, examples, and the training runs themselves."""
