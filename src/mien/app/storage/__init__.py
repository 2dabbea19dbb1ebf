"""How :class:`mien.app.store.Store` keeps things: tables, the SQLite file, and one module for each kind of record."""
