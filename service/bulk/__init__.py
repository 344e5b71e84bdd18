"""Many pictures without a server, on one machine or a cluster: the command `birefnet-batch`."""
