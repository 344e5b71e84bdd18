"""What replicas can do: a simulation of their queues, and what it takes to run it."""
