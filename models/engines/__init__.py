"""One module per runtime; they never import each other and are opened only by `models.engine`."""
