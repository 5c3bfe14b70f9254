"""What simulated runs came to: one row a run, and what can be said of many."""
