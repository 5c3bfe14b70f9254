"""Many runs at once: a flock shares one history and one decision state until a measurement tells its runs apart.

`blocks.run_block` plays the runs of one cohort, `workers.simulate_blocks` all cohorts over processes. Inside: `draws`
turns keys into counts, `counters` remembers what was drawn of each target, `store` shows it to PromQL, `paths` holds
the decisions that were met so far, `judging` gives phases to all runs in one pass. No SimPy here, and no clock.
"""
