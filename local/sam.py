"""AWS SAM's command line as we run it: no telemetry, no look-up of newer versions, its notes inside `.local/`, this environment's tools first on the path,
and the temporary folders that it leaves behind removed.

python -m local.sam validate --lint
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = Path(sys.executable).parent


def environment(base: Mapping[str, str], *, temporary: Path) -> dict[str, str]:
    """What `sam` is to be started with. `temporary`: a folder for what it leaves behind."""
    notes = ROOT / ".local" / "sam"
    notes.mkdir(parents=True, exist_ok=True)
    # Asked weekly, over the network, unless it was asked just now.
    (notes / "metadata.json").write_text(json.dumps({"telemetryEnabled": False, "lastVersionCheck": time.time()}))
    return {
        **base,
        "PATH": f"{TOOLS}{os.pathsep}{base.get('PATH', os.defpath)}",
        "PYTHON": sys.executable,
        "UV": str(TOOLS / "uv") if (TOOLS / "uv").exists() else "uv",
        "SAM_CLI_TELEMETRY": "0",
        "TMPDIR": str(temporary),
        "__SAM_CLI_APP_DIR": str(notes),
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="sam-") as temporary:
        return subprocess.run([TOOLS / "sam", *sys.argv[1:]], env=environment(os.environ, temporary=Path(temporary)), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
