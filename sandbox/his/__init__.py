"""A hospital information system on loopback: its own books, its own clumsiness, Houfu's wire contract on both sides."""
