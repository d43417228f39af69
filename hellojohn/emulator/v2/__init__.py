"""The self-hosted open-source server, ``/v2`` and ``/oauth2``, as it was seen to answer.

It imitates the server's defects as well, because a client has to live with them. It imports nothing of the
SDK's reading of the protocol (``hellojohn._wire``): two independent readings catch misreadings.
"""
