"""Hash lists, valid and invalid, with what a reader must make of them.

Every expectation is written down from what was put into the file; no reader has a part in it. The hashes are bytes
without meaning.
"""

from __future__ import annotations

from vectormakers.committed import document
from vectormakers.list_files import Lists
from vectormakers.lists_by_line import add_foreign, add_hashdeep, add_pdq, add_sums
from vectormakers.lists_digest_sets import add_encase, add_tsk_index
from vectormakers.lists_foreign import add_dfxml, add_hashkeeper, add_ncmec, add_nsrl2, add_vics
from vectormakers.lists_tabular import add_csv, add_icse, add_jsonl

__all__ = ["make"]


def make() -> tuple[dict[str, bytes], bytes]:
    """The files and ``lists/expect.json``."""
    lists = Lists()
    for add in (add_icse, add_csv, add_jsonl, add_hashdeep, add_sums, add_pdq, add_foreign):
        add(lists)
    for add in (add_vics, add_ncmec, add_dfxml, add_nsrl2, add_hashkeeper, add_encase, add_tsk_index):
        add(lists)
    units = {
        "file": "path below testvectors/",
        "input.format": "name of the format where the user says it (--from), else null: it is detected",
        "format": "name of the format that is detected",
        "count": "records",
        "hashes": "raw hashes in lower-case hexadecimal, whatever their form in the file",
        "quality": "0 to 100",
        "size": "bytes, null where it is not stated",
        "origin": "who of a list of several organisations the entry comes from; absent where the list does not say",
        "empty_digests": "digests of the empty file that the reader left out of the record",
        "error": "class in hashmatch.errors, not one of its bases",
        "by": "step that refuses the file: detect (before any record), read (a record, or all from there on), import",
        "line": "1-based line on which the record starts, null where there is none",
        "record": "1-based number among the records (header, comments and blank lines do not count), or null",
        "field": "name of the column or key as the file has it, null where the record as a whole is wrong",
        "skip_invalid": "what an import that skips invalid records keeps: entries, and how many records it skips; null "
        "where the file as a whole is refused all the same",
    }
    comment = "Hash lists in most of the formats. The hashes are bytes without meaning; none is the hash of anything."
    return lists.files, document("lists", comment, units, lists.vectors)
