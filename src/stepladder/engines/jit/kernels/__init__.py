"""The loops that do the work, each emitted for one shape."""
