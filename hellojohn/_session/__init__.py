"""The session engine: keeps sessions signed in. It knows no HTTP library, no status and no error code."""
