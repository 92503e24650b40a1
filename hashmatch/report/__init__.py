"""What a run found, in the forms that people and programs read.

One document, rendered by every form: a *body* with one row for each query, which is byte-identical on a rerun, and a
*header* that holds what may differ: times, machine, versions. No form shows a stored hash of the list.
"""

from __future__ import annotations

from hashmatch.report.document import Input, Summary, run_header
from hashmatch.report.folder import ReportFolder
from hashmatch.report.rows import csv_rows, json_line

__all__ = ["Input", "ReportFolder", "Summary", "csv_rows", "json_line", "run_header"]
