"""The only code that opens untrusted bytes: guard, decode, encode."""
