"""Measuring any predictor on any dataset, honestly. numpy only, never torch."""
