"""Run every bench, or those named: `python -m bench [NAME]...`. Each module has a `main()` that prints its figures."""

from __future__ import annotations

import pkgutil
import platform
import sys
import time
from importlib import import_module

import bench


def main() -> None:
    """Print the machine, then each bench under its own headline."""
    found = pkgutil.iter_modules(bench.__path__)
    names = [module.name for module in found if module.name != "__main__" and not module.ispkg]
    wanted = sys.argv[1:] or names
    if unknown := [name for name in wanted if name not in names]:
        sys.exit(f"no bench is called {', '.join(unknown)}; there are {', '.join(names)}")
    print(f"{platform.platform()}, Python {platform.python_version()}")
    for name in wanted:
        started = time.monotonic()
        print(f"\n== {name}", flush=True)
        import_module(f"bench.{name}").main()
        print(f"({time.monotonic() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
