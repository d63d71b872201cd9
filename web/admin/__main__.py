"""Make the token that opens the admin page: `python -m web.admin --new-token FILE`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from errors import BadSettings
from web.admin import token


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        "python -m web.admin", description="The token of /admin and /metrics."
    )
    parser.add_argument(
        "--new-token", metavar="FILE", type=Path, required=True, help="write a new one here"
    )
    file = parser.parse_args(arguments).new_token
    try:
        token.make(file)
    except BadSettings as why:
        print(why, file=sys.stderr)
        return 2
    print(f"Written. Start the server with LIKENESS_ADMIN={file.absolute()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
