"""PromQL as text and as a tree: parse, print, walk, rewrite, and what can be known of a query unrun."""
