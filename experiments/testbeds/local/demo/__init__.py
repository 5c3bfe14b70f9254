"""The demo service: one pod of a release, as a process of its own. Run as `python -m experiments.testbeds.local.demo`.

It stands in for the team's service: an HTTP service with a readiness probe, Prometheus' counters and a kill switch
read through OpenFeature. What its release does to users is `sim.releases.Release`, and chance enters by a seed.
"""
