"""A catalogue entry in, a verified checkpoint file out."""
