"""`python -m tributary.cli`: the commands, with every expected failure as one line."""

from __future__ import annotations

import sys

from tributary.cli.app import Failed, app
from tributary.cli.config_file import ConfigInvalid
from tributary.cli.target import TargetMissing
from tributary.errors import TributaryError
from tributary.operator import Refused
from tributary.recent import QueryInvalid


def main() -> None:
    """Run; exit 1 with a line on stderr where it cannot be done."""
    try:
        app(prog_name="tributary")
    except QueryInvalid as error:
        _fail(f"{error.field}: {error}")
    except Refused as error:
        _fail(f"{error.field}: {error}" if error.field else str(error))
    except (Failed, ConfigInvalid, TargetMissing, TributaryError) as error:
        _fail(str(error))


def _fail(text: str) -> None:
    sys.stderr.write(f"{' '.join(text.split())}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
