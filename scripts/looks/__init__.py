"""Whether the image effects do what they say: judged with known truth, timed, and shown."""
