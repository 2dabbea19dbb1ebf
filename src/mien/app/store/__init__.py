"""What the app keeps, in one SQLite file: tables, the file itself, and one module for each kind of record."""
