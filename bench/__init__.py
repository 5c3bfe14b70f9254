"""Figures, as ratios and counts: how fast and how faithful each part is. Never a test, because machines are noisy."""
