"""The use case: makes a cutout of a picture's bytes. Everything calls this."""
