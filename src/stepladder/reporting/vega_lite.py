"""What all charts share."""

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
VEGA_BYTES = 700_000_000  # of address space: with less, vl-convert ends the process (measured with 1.9)
