"""The five papers' experiments as data: what is trained and tested, what the paper says, and what was measured."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
