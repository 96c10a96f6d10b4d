"""The history of the tables: one file under ``versions/`` for each change, applied by ``houfu migrate``."""
