"""The BentoML model store: what is registered, how it gets there, whole or not at all."""
