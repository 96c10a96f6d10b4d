"""Use cases of intake: take a batch of statements, each once, parked if need be; and make facts of them."""
