"""The handlers of v1, by topic. Each reads a request, asks the rules, and writes the answer."""
