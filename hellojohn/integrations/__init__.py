"""FastAPI, Starlette, Flask and Django: a ``Guard`` for the routes of an API, and ``BrowserSessions``.

    from hellojohn.integrations.fastapi import BrowserSessions, Guard

Every framework is an extra. The rules are in private modules, and the module of a framework translates them.
"""
