"""Reports of game days: a page, a file for programs and a picture. They print what a scorecard says and add nothing."""
