"""Labelled releases and conditions that any policy can be tried on, and the score that it gets for them."""
