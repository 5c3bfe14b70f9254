"""Ask the places that know: Prometheus, and web endpoints of the team's own. All here may block and may fail."""
