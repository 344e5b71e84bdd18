"""The service beside rembg on the same machine: speed, memory, quality."""
