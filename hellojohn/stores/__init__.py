"""Where sessions are kept: the ``TokenStore`` protocol and the stores that come with the SDK."""
