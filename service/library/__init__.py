"""The backgrounds that callers can choose by their ids."""
