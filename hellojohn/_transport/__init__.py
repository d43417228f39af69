"""The auth hook for HTTP clients: which origins get a token, and what is replayed after a 401."""
