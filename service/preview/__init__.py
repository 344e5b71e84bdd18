"""Live previews: a picture that stays while what is made of it changes; no HTTP."""
