from .law.consent import Consent as Consent
from .law.policy import Decision as Decision
from .law.policy import Feature as Feature
from .law.policy import Place as Place
from .law.policy import Purpose as Purpose
from .law.policy import decide as decide
from .store.facade import Store as Store
from .web.server import create_app as create_app
from .web.server import make_server as make_server

__all__ = [
    "Consent",
    "Decision",
    "Feature",
    "Place",
    "Purpose",
    "Store",
    "create_app",
    "decide",
    "make_server",
]
