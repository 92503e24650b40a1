"""A worker process: paths in, records out, until its input ends. Run as ``python -m hashmatch.scan.worker``."""

from __future__ import annotations

import json
import os
import signal
import sys

from hashmatch.hashing import hash_file
from hashmatch.imaging import Limits
from hashmatch.scan.wire import encode_reply, read_message, write_message


def main() -> None:
    """Serve until standard input ends. The first message holds the parameters as JSON, each later one a path."""
    # Ctrl-C reaches the whole process group; the scan decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    # A library that prints must not print into the protocol.
    sys.stdout = sys.stderr
    first = read_message(requests)
    if first is None:
        return
    options = json.loads(first)
    limits = Limits(**options["limits"])
    write_message(replies, b"ready")
    while (request := read_message(requests)) is not None:
        record = hash_file(
            os.fsdecode(request), tuple(options["algorithms"]), limits=limits, orientation=options["orientation"]
        )
        write_message(replies, encode_reply(record))


if __name__ == "__main__":
    main()
