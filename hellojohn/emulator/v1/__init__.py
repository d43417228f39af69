"""The documented cloud API, ``/v1``: its rules, its routes and its pages.

It imports nothing of the SDK's reading of the protocol (``hellojohn._wire``): two independent readings catch
misreadings.
"""
