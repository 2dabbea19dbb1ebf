"""The command line: thin, and it imports either chain inside its commands."""
