"""What measurements share: the machine, processes, pictures, load."""
