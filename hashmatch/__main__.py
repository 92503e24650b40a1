"""``python -m hashmatch``."""

from hashmatch.cli import main

main()
