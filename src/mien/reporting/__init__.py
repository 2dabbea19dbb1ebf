"""Figures, tables and pages of evaluation, explain and studies: one style, one base template. numpy, never torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
