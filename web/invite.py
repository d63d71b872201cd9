"""Make, list and revoke invitations: `python -m web.invite --count 40 --days 14 --label marketing`.

Beside the running server, with its settings. Prints links, one a line; nobody can print them again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import settings as configuration
from errors import BadSettings, DiskFull, NotAdmitted
from privacy.invitations import Invitations, expiry
from settings import Settings
from words import tell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        "python -m web.invite", description="Invitations to start a session."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--count", type=_within(1, 100_000), help="make so many links")
    what.add_argument("--list", action="store_true", help="show counts by label")
    what.add_argument("--revoke", metavar="LABEL_OR_LINK", help="end all of a label, or one link")
    parser.add_argument("--days", type=_within(1, 365), default=14, help="until they expire")
    parser.add_argument("--uses", type=_within(1, 65535), default=1, help="sessions for each link")
    parser.add_argument("--label", default="", help="for what, not for whom")
    parser.add_argument("--url", help="where visitors reach this server")
    asked = parser.parse_args(arguments)
    try:
        settings = configuration.load()
        invitations = Invitations(settings.receipts, time.time)
        if asked.list:
            _show(invitations)
        elif asked.revoke:
            return _revoke(invitations, asked.revoke)
        else:
            until = expiry(time.time(), asked.days)
            made = invitations.make(asked.count, label=asked.label, expires=until, uses=asked.uses)
            for text in made:
                print(f"{(asked.url or _url(settings)).rstrip('/')}/#{text}")
            if settings.entrance != "invited":
                print("LIKENESS_ENTRANCE is not invited: nobody needs these.", file=sys.stderr)
    except (BadSettings, DiskFull, NotAdmitted) as why:
        print(tell(why.for_operator), file=sys.stderr)
        return 2
    return 0


def _within(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return number


def _url(settings: Settings) -> str:
    scheme = "https" if settings.https else "http"
    host = settings.hosts[0] if settings.hosts else f"127.0.0.1:{settings.port}"
    return f"{scheme}://{host}{settings.root_path}"


def _show(invitations: Invitations) -> None:
    for batch in invitations.batches():
        day = datetime.fromtimestamp(batch.expires, UTC).date()
        end = "revoked" if batch.revoked else f"until {day}"
        name = batch.label or "(no label)"
        print(
            f"{name}: {batch.links} links, {batch.started} of {batch.most} sessions started, {end}"
        )


def _revoke(invitations: Invitations, which: str) -> int:
    address, _, text = which.rpartition("#")
    if address:
        invitations.revoke_link(text)
        print("Revoked: this link starts nothing any more. Sessions that it started go on.")
        return 0
    count = invitations.revoke_label(which)
    if count:
        print(f"Revoked: {count} links start nothing any more. Sessions that they started go on.")
        return 0
    print(f"There are no invitations with the label {which!r}; --list shows all.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
