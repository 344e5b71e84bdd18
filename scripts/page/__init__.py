"""The page at `/`, measured and photographed in a real browser."""
