"""Arrays in, alpha mattes out. No bytes of users, no HTTP, no environment."""
