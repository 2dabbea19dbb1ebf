from .law.consent import Consent as Consent
from .store.facade import Store as Store
from .web.server import create_app as create_app
from .web.server import make_server as make_server

__all__ = [
    "Consent",
    "Store",
    "create_app",
    "make_server",
]
