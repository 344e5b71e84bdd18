"""Where bytes rest that callers have left: a folder, or a bucket."""
