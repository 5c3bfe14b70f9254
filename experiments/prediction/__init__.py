"""What the simulator says of a game day before it is rehearsed, and how that compares with what was observed."""
