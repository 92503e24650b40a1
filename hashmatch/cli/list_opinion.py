"""``hashmatch list opinion``."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import click

from hashmatch.cli.console import LIST_PATH, NO_CHANGE, echo_lines, given_references, refs_from_option, warn_unlogged
from hashmatch.errors import UsageError


@click.command()
@click.argument("path", metavar="LIST.hml", type=LIST_PATH)
@click.argument("refs", metavar="REFERENCE...", nargs=-1)
@click.option("--source", required=True, help="Organisation whose entries the opinion is about.")
@click.option("--organisation", required=True, help="Organisation that holds the opinion.")
@click.option("--affirm", is_flag=True, help="It confirms the entries.")
@click.option("--dispute", is_flag=True, help="It says that they do not belong in the list.")
@click.option("--take-back", is_flag=True, help="Take back its opinion that was noted here.")
@click.option(
    "--algorithm", metavar="NAME", default="", help="About their hashes of this algorithm only; by default about all."
)
@click.option("--reason", default="", help="Why; kept with the opinion.")
@refs_from_option
def command(
    path: Path,
    refs: tuple[str, ...],
    source: str,
    organisation: str,
    affirm: bool,
    dispute: bool,
    take_back: bool,
    algorithm: str,
    reason: str,
    refs_from: Any,
) -> None:
    """Note that an organisation confirms or disputes entries.

    Entries that another organisation than their source disputes still match and are marked (`--disputed` of match and
    scan decides). What their own source disputes no longer matches. A noted opinion takes the place of one that the
    source sends for the same organisation and hash, until it is taken back. Of several opinions a negative one counts.
    """
    from hashmatch.lists.store import HashList

    if affirm + dispute + take_back != 1:
        raise UsageError("expected one of --affirm, --dispute and --take-back")
    if take_back and reason:
        raise UsageError("--reason goes with --affirm and --dispute; what is taken back has none")
    wanted = given_references(refs, refs_from, "that it is about")
    with HashList.open(path) as known:
        changed = known.give_opinion(
            source,
            wanted,
            organisation,
            affirmative=None if take_back else affirm,
            reason=reason,
            algorithm=algorithm.strip().lower(),
        )
        warn_unlogged(known.unlogged)
    done = "opinions taken back" if take_back else "entries disputed" if dispute else "entries affirmed"
    same = len(set(wanted)) - changed
    unchanged = f"; nothing to take back: {same:,}" if take_back else f"; said the same already: {same:,}"
    lines = [f"{done}: {changed:,}" + (unchanged if same else "") + ("" if changed else NO_CHANGE)]
    if dispute and unicodedata.normalize("NFC", organisation) == unicodedata.normalize("NFC", source):
        lines.append("it is their own source that disputes them: they are no longer matched")
    echo_lines(lines)
