"""The measurements behind the figures: each a ratio against a named baseline, both taken in one run."""
