"""The handlers of v2, by topic."""
