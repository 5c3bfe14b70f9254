"""Gamebird's front door: the command line and the public Python API.

The only package that prints or exits. Everything below it returns values and raises typed errors.
"""

from importlib import metadata

__version__ = metadata.version("gamebird")
