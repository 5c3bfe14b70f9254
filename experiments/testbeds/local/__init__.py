"""A world on one machine: Envoy, one process per pod, a scraper, a query server, and the decision core between them.

Everything listens on loopback, on ports that the kernel picked, and ends with its parent.
"""
