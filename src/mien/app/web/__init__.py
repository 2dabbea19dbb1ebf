"""The server, its guard and its pages."""
