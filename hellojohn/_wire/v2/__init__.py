"""v2, the self-hosted open-source server."""

from hellojohn._wire.v2.dialect import V2

__all__ = ["V2"]
