"""A process that opens the engine on a folder and says what that cost: `python -m tests.bench.child FOLDER`."""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from tests.bench.rig import opened, resident_mb


async def main(folder: Path) -> None:
    """Print {"seconds", "mb"} once the engine is ready."""
    began = time.perf_counter()
    async with opened(folder):
        seconds = time.perf_counter() - began
        gc.collect()
        print(json.dumps({"seconds": seconds, "mb": resident_mb()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
