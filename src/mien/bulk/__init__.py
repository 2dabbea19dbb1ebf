"""Millions of pictures and thousands of hours: units of work, their workers, and one committed output."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
