"""Which way, for whom, in how many seconds; and how to say it."""
