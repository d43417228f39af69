"""The wire, pure: build a request, read an answer. Sends nothing and never imports ``_http``."""
