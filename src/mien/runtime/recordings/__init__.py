"""Recordings read back: totals, comparisons, charts and pages."""
