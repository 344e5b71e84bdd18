"""What `birefnet-batch` does when it is killed, and how fast it is."""
