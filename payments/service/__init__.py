"""Use cases of paying: begin, offer, paid, settled, closed, money back; each takes the visit's turn first."""
