"""What is seen while a climb or a search goes on: lines, bars, and the report served as it grows."""
