"""The cluster world: list and watch, work queue, status, events and lease, on a real API server.

It decides nothing. It brings `controller.core` what it saw, and carries out what the core asked for.
"""
