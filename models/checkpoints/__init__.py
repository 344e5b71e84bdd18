"""Gets the checkpoint files of the catalogue, and verifies them."""
