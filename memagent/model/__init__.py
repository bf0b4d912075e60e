"""The language model: the seam, its local implementation, grounded decoding. The only place besides training that knows torch."""
