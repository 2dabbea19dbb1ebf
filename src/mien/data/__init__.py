"""Datasets in memory, from the layouts their owners publish. numpy only, never torch."""
