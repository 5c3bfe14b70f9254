"""Where Chaos Toolkit looks for the extension: `chaos discover gamebird` imports a distribution's first package.

The activities themselves are in `experiments.chaos`; nothing else belongs here.
"""

from __future__ import annotations

from experiments.chaos import discover

__all__ = ["discover"]
