"""`python -m birefnet_client` is the command `birefnet`."""

from __future__ import annotations

from birefnet_client.command import main

if __name__ == "__main__":
    main()
