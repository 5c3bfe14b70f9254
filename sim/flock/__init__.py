"""Many runs at once: a flock shares one history and one decision state until a measurement tells its runs apart.

`blocks.run_block` plays the runs of one cohort, `workers.simulate_each` all cohorts of all scenarios over processes.
Inside: `bits` and `quantiles` turn keys into counts, `counters` remembers what was drawn of each target, `store` shows
it to PromQL, `places` holds the decisions that were met so far, for all releases that live through the same, `paths`
what one scenario's metrics look like there, `judging` gives phases to all runs in one pass. No SimPy, and no clock.
"""
