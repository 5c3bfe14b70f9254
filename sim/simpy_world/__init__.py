"""The reference engine: one run, request by request, with queues, in SimPy."""

from sim.simpy_world.traces import Event, Trace
from sim.simpy_world.world import play_run

__all__ = ["Event", "Trace", "play_run"]
