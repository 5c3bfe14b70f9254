"""What the bench of the load generator puts beside it: a target that stamps arrivals, and other people's generators."""
