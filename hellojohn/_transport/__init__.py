"""The auth hook for HTTP clients: which origins get a token, and which requests are replayed after a 401."""
