"""Images at scale: a folder walker and worker processes, in input order, with memory that does not grow."""

from __future__ import annotations

from hashmatch.scan.pool import HashPool, hash_images
from hashmatch.scan.walk import Found, walk

__all__ = ["Found", "HashPool", "hash_images", "walk"]
