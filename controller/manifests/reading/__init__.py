"""From one YAML document to one value: typed, with every problem found before the first is told.

Only `controller.manifests.loading` and `policies` use this package; nobody else imports it.
"""
