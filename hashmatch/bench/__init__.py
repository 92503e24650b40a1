"""Benchmarks that check before they time: suites, peers, and one document of results.

A suite makes its data from a seed, compares what hashmatch answers with a brute force or with the package that it
claims to equal, and refuses to go on where they differ. Then hashmatch and its peers are timed in turns in one run, and
what is reported are ratios: the machine's mood of the moment meets both sides alike.
"""
