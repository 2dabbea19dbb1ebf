"""Recipes and runs, on Lightning."""

from mien.models.vision import mend_torchvision

mend_torchvision()  # before Lightning, which would stop at a torchvision built for another torch
