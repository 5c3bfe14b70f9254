"""Pod addresses without a network of their own: 10.x.y.z in the API is 127.x.y.z on this machine.

The API server refuses loopback addresses in EndpointSlices, so pods tell it addresses of 10.0.0.0/8 and processes
listen on their twins of the loopback, all of which answer on Linux without any right or set-up. Whoever connects (the
router, Prometheus, the probes) translates; nobody else ever needs to.
"""

from __future__ import annotations

import random
import socket

from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.places import Place

_TRIES = 50
_SERVICES = 0  # 10.0.0.0/24 is the control plane's range of Service addresses


class AddressError(ValueError):
    """An address that has no twin on the loopback."""


def place_of(pod_ip: str, port: int) -> Place:
    """Return where a pod's port really is.

    Raises:
        AddressError: it is no address of this plan, so no pod of this machine has it.
    """
    first, _, rest = pod_ip.partition(".")
    if first != "10" or rest.count(".") != 2:
        raise AddressError(f"{pod_ip} is no pod of this machine; those have addresses in 10.0.0.0/8")
    return Place(f"127.{rest}", port)


def free_pod_ip(port: int) -> str:
    """Return a pod address whose twin has this port free now.

    Raises:
        WorldError: none was found: this machine has no loopback beyond 127.0.0.1, or may not use the port.
    """
    problem: OSError | None = None
    for _ in range(_TRIES):
        # By chance, so that two clusters on one machine stay out of each other's way.
        rest = f"{random.randrange(_SERVICES + 1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        with socket.socket() as probe:
            try:
                probe.bind((f"127.{rest}", port))
            except OSError as error:
                problem = error
                continue
        return f"10.{rest}"
    raise WorldError(f"no address of the loopback has port {port} free for a pod: {problem}")
