"""The compiled list and the search engines: arrays of hashes and row numbers, never the list of record."""
