"""One module per route; they never import each other."""
