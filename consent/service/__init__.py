"""Use cases of consent: the letter, who may sign it, how it is read and signed, and the chain that proves it."""
