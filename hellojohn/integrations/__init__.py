"""Guards for the routes of an API: FastAPI, Starlette, Flask and Django, each in a module of its own.

    from hellojohn.integrations.fastapi import Guard

Every framework is an extra. The rules are in ``_rules``; the modules translate them.
"""
