"""Checks, results and climbs, shown: tables of strings, then terminal; JSON for machines."""
