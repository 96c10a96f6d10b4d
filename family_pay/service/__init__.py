"""Use cases of family pay: inviting, accepting, ending, guardians, and what both sides are told."""
