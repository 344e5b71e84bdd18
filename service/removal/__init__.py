"""The use case: bytes and options in, a cutout out. Everything calls this."""
