"""Parley beside other workflow systems: `python -m tests.bench.peers [arguments of the peers' bench.py]`.

Fills the paths into `peers.json`, adds the lines of the other peers, and runs their benchmark with that. It lies in
`bench` of the folder `shared` beside the checkout, or where `PARLEY_SHARED` says.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.shared import ROOT

HERE = Path(__file__).parent


def filled(peers: Path) -> dict[str, object]:
    """Every peer by its name, ours with the paths of this machine."""
    paths = {
        "{python}": sys.executable,
        "{driver}": str(HERE / "parley_driver.py"),
        "{root}": str(ROOT),
        "{peers}": str(peers),
    }
    text = (HERE / "peers.json").read_text()
    for name, path in paths.items():
        text = text.replace(name, path)
    ours: dict[str, object] = json.loads(text)
    return {**ours, **json.loads((peers / "peers.json").read_text())}


def main() -> int:
    """Run the peers' benchmark; without arguments, ours alone."""
    peers = Path(os.environ.get("PARLEY_SHARED", ROOT.parent / "shared")) / "bench"
    if not (peers / "bench.py").is_file():
        print("The peers' benchmark is not there; say where it is with PARLEY_SHARED.", file=sys.stderr)
        return 2
    given = sys.argv[1:]
    if not any(word.startswith(("--peers", "--report")) for word in given):
        given = ["--peers", "parley,parley-pure", *given]
    with tempfile.TemporaryDirectory(prefix="parley-peers-") as folder:
        config = Path(folder) / "peers.json"
        config.write_text(json.dumps(filled(peers)))
        work = [] if any(word.startswith("--work=") or word == "--work" for word in given) else ["--work", folder]
        command = [sys.executable, str(peers / "bench.py"), "--config", str(config), *work, *given]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
