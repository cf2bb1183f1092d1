"""What each command gives to machines: JSON with a ``schema_version``, and CSV."""
