"""Makers of the test vectors: one module per tier. `testvectors/generate.py` runs them."""
