"""What is kept of each game day: a record per rehearsal, and the history that they make."""
