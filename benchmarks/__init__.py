"""The measurements behind the figures in the documents: ``python -m benchmarks``. Not part of the package."""
