"""The documented cloud API, ``/v1``: its rules, its routes and its pages.

It never imports ``hellojohn._wire``: two independent readings of the protocol catch misreadings.
"""
