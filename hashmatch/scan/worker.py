"""A worker process: paths in, records out, until its input ends. Run as ``python -P -m hashmatch.scan.worker``.

``-P`` because ``-m`` alone makes the current folder the first place of imports, and a scan may well be started in the
folder that it examines.
"""

from __future__ import annotations

import json
import signal
import sys

from hashmatch.hashers.digests import DIGESTS
from hashmatch.hashing import hash_file
from hashmatch.imaging import Limits
from hashmatch.scan.wire import READ, READY, decode_request, encode_reply, read_message, write_message


def main() -> None:
    """Serve until standard input ends. The first message holds the parameters as JSON, each later one is a request."""
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
    algorithms = tuple(options["algorithms"])
    digests = tuple(name for name in algorithms if name in DIGESTS)
    write_message(replies, READY)
    while (request := read_message(requests)) is not None:
        path, digests_only = decode_request(request)
        record = hash_file(
            path,
            digests if digests_only else algorithms,
            limits=limits,
            orientation=options["orientation"],
            profile=options["profile"],
            when_read=lambda: write_message(replies, READ),
        )
        write_message(replies, encode_reply(record))


if __name__ == "__main__":
    main()
