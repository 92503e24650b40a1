"""Options of the verbs that decode images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hashmatch.imaging import Limits

__all__ = ["imaging_options", "make_limits"]


def imaging_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options for profile, orientation and limits."""
    for option in reversed(
        (
            click.option(
                "--profile",
                type=click.Choice(["reference", "luma"]),
                default="reference",
                show_default=True,
                help="How pixels become hashes: as the reference packages do, bit for bit, or, for JPEG, faster and "
                "within 4 bits of that.",
            ),
            click.option(
                "--orientation/--no-orientation",
                default=False,
                help="Apply the EXIF orientation before hashing. Off by default, as in other tools: hashes agree.",
            ),
            click.option("--max-bytes", metavar="N", type=click.IntRange(1), help="Largest file to decode, in bytes."),
            click.option(
                "--max-pixels", metavar="N", type=click.IntRange(1), help="Largest image to decode, in pixels."
            ),
            click.option("--max-frames", metavar="N", type=click.IntRange(1), help="Most frames of an animated image."),
        )
    ):
        function = option(function)
    return function


def make_limits(options: dict[str, Any]) -> Limits:
    """The limits that the options ask for; the defaults of `hashmatch.imaging.Limits` for the rest."""
    from hashmatch.imaging import Limits

    names = ("max_bytes", "max_pixels", "max_frames")
    return Limits(**{name: options[name] for name in names if options.get(name) is not None})
