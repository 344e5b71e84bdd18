"""Turns arrays into alpha mattes. Sees no bytes of users, no HTTP, no environment."""
