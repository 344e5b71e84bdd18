"""Work that outlives its request: accepted, kept on disk, done when there is room, told of."""
