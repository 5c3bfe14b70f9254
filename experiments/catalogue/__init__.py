"""The catalogue of game days that come with Gamebird: data in `drills` and `policies`, and what is made of it."""
