"""How many requests each pod gets, and what becomes of them: expected numbers for whole stretches of time."""
