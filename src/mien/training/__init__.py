"""Recipes and runs, on Lightning."""
