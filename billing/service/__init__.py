"""Use cases of the bill: lines come, become owed, are disputed, paid and taken back; the ledger remembers."""
