"""The demo service in a container: who the pod is and which release it plays come from the downward API.

The pod template has to hand them over as the variables POD_NAME, POD_HASH and DEMO (the annotation gamebird.dev/demo);
examples/cluster-drill does. The demo image runs this file; on the test cluster pods are processes and need it not.
"""

from __future__ import annotations

import asyncio
import os
import zlib

from experiments.testbeds.cluster.pod_specs import DemoOrders
from experiments.testbeds.local.demo.__main__ import serve
from experiments.testbeds.local.demo.identity import Identity

PORT = 8080


def identity() -> Identity:
    """Return who this pod is."""
    name, told = os.environ["POD_NAME"], os.environ.get("DEMO")
    orders = DemoOrders.model_validate_json(told) if told else DemoOrders()
    return Identity(
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ.get("PORT", PORT)),
        service=os.environ.get("SERVICE", "drill"),
        pod=name,
        pod_hash=os.environ.get("POD_HASH", ""),
        first=True,  # no pod of a cluster is the first of its revision: faults by count happen in each
        speed=1.0,
        seed=zlib.crc32(name.encode()),
        release=orders.release,
        routes=orders.routes,
    )


if __name__ == "__main__":
    asyncio.run(serve(identity()))
