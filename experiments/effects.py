"""What a fault does to the world it is played in, how that ends, and how it reads in words."""

from __future__ import annotations

from typing import Any

from experiments.leases import Effect, FaultError
from experiments.method import ChangeTraffic, Fault, PrometheusGone, ProxyDelay, ProxyErrors, SetFlag
from experiments.worlds import Breakable, World
from loadgen.openloop import LoadProcess


def effect_of(action: Fault, world: World, load: LoadProcess) -> Effect:
    """Return how a fault is put in force, how it ends, and what it is in words.

    Raises:
        FaultError: this world cannot have it.
    """
    match action:
        case PrometheusGone():
            return Effect(
                start=lambda: world.cut_metrics(cut=True),
                end=lambda: world.cut_metrics(cut=False),
                detail="nobody answers at Prometheus' address",
            )
        case ProxyErrors(share=share, status=status, side=side):
            detail = f"the proxy answers {share:.2%} of the requests to {side} with {status}"
            return _at_the_proxy(world, side, {"abort_share": share, "status": status}, detail)
        case ProxyDelay(share=share, delay_s=delay_s, side=side):
            detail = f"the proxy holds {share:.2%} of the requests to {side} back for {delay_s:g} s of the wall"
            return _at_the_proxy(world, side, {"delay_share": share, "delay_s": delay_s}, detail)
        case ChangeTraffic(rps=rps):
            return Effect(
                start=lambda: load.set_rate(rps), end=load.restore_rate, detail=f"users send {rps:g} requests/s"
            )
        case SetFlag(flag=flag, on=on):
            return Effect(
                start=lambda: world.set_flag(flag, on=on),
                end=lambda: world.set_flag(flag, on=None),
                detail=f"the flag {flag} is {'on' if on else 'off'} for everybody",
                place=f"flag {flag}",
            )
        case _ if isinstance(world, Breakable):
            return world.effect_of(action)
        case _:
            raise FaultError(f"{action.func}: this world cannot have this fault")


def _at_the_proxy(world: World, side: str, fault: dict[str, Any], detail: str) -> Effect:
    return Effect(
        start=lambda: world.set_proxy_fault(side, fault),
        end=lambda: world.set_proxy_fault(side, None),
        detail=detail,
        place=f"proxy {side}",
    )
