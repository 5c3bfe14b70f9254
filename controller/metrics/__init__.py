"""Ask the places that know: Prometheus now, web endpoints later. Everything here may block and may fail."""
