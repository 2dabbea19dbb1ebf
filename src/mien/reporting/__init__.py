"""Figures, tables and pages of evaluation, explain and studies: one style, one base template. numpy, never torch."""
