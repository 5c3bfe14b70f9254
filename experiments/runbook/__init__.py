"""The page for incident responders of one rollout: what it does, what its metrics mean, what to type.

Everything on the page follows from the manifests: `journey` tells the steps, `metrics` the analysis, `outages` what a
silent Prometheus leads to, `commands` what a person can do and what becomes of traffic and pods, `symptoms` what to do
about what is seen. `page` puts them together and `keeping` writes the file. Nothing here asks a cluster.
"""
