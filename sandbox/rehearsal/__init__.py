"""The dress rehearsal: whole visits with phones and a misbehaving outside world, and a verdict at the end."""
