"""The verb: train what a ladder's rungs and seeds want, and go on until every verdict is decided."""
