"""Run the notebooks again and keep what they show: `python notebooks/execute.py [NOTEBOOK…]`.

The notebooks are the source; nothing generates them. Edit the cells, run this, look at the pictures, commit. Whatever
differs from run to run without a meaning (times, the ids of outputs) is left out, so that a diff shows what changed.
`tests/notebooks` executes them by the same function.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HERE = Path(__file__).parent
TIMEOUT_S = 600


def executed(path: Path, also: str = "") -> Any:
    """Return the notebook with the outputs that it gives now, played in a fresh kernel.

    Args:
        also: code for one more cell at the end, for whoever wants to ask the kernel something.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook: Any = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    if also:
        notebook.cells.append(nbformat.v4.new_code_cell(also))
    with TemporaryDirectory(prefix="nb-") as folder:
        # Sockets of the file system where there are any: nothing of a kernel need listen on a port.
        kernel = AsyncKernelManager(kernel_name="python3")
        if os.name == "posix":
            kernel.transport, kernel.ip = "ipc", str(Path(folder, "kernel"))
        NotebookClient(
            notebook,
            km=kernel,
            timeout=TIMEOUT_S,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
        ).execute(cleanup_kc=True)
    return notebook


def main(paths: list[str]) -> None:
    """Execute these notebooks, or all, in place."""
    for path in [Path(one) for one in paths] or sorted(HERE.glob("*.ipynb")):
        notebook = executed(path)
        notebook.metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
