"""`python -m service.bulk` is the command `birefnet-batch`."""

from service.bulk.command import main

main()
