"""v1, the documented cloud API."""

from hellojohn._wire.v1.dialect import V1

__all__ = ["V1"]
