"""A guess that somebody looked at: confirmed, it is a way like any other; refused, it is none. Who said so is kept."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

from guide.maps.findings import Guess
from guide.maps.network import Decision, Edge, Network

_LETTERS = 6  # of a name; a hospital has some hundred guesses


def names(network: Network) -> dict[str, int]:
    """Name of a guess → its number. Names stay when others are decided, and when the same drawing is read again."""
    return {_name(guess, which): n for n, (guess, which) in enumerate(_counted(network))}


def decide(network: Network, name: str, *, confirmed: bool, by: str, at: str) -> Guess:
    """Decide one guess; the network is changed.

    Args:
        by: who looked; ``at``: when, ISO.

    Raises:
        KeyError: no open guess is called so.
    """
    number = names(network)[name]
    guess, which = list(_counted(network))[number]
    doors = _doors(network)
    network.edges = [made for edge in network.edges if (made := _after(edge, number, doors, confirmed)) is not None]
    del network.guesses[number]
    network.decided.append(Decision(guess.why, guess.what, which, confirmed, by, at))
    return guess


def carry(network: Network, before: Network) -> None:
    """What was decided on the version before holds on this one, too, as far as it has the same guesses.

    What it has no guess for any more is remembered all the same: the drawing may change back.
    """
    for one in before.decided:
        name = _name(Guess(one.why, one.what), one.which)
        if name in names(network):
            decide(network, name, confirmed=one.confirmed, by=one.by, at=one.at)
        elif one not in network.decided:
            network.decided.append(one)


def _counted(network: Network) -> Iterator[tuple[Guess, int]]:
    """Each open guess, and how many of the same words came before it when the drawing was read."""
    gone = {(Guess(d.why, d.what), d.which) for d in network.decided}
    seen: Counter[Guess] = Counter()
    for guess in network.guesses:
        while (guess, seen[guess]) in gone:
            seen[guess] += 1
        yield guess, seen[guess]
        seen[guess] += 1


def _name(guess: Guess, which: int) -> str:
    return sha256(f"{guess.why}|{guess.what}|{which}".encode()).hexdigest()[:_LETTERS]


def _doors(network: Network) -> dict[int, int]:
    """Door → the guess it is: a way from inside a space to it bears the door's guess."""
    made = {}
    for edge in network.edges:
        inside = [network.nodes[n].space >= 0 for n in (edge.a, edge.b)]
        if edge.guess >= 0 and edge.link < 0 and inside in ([True, False], [False, True]):
            made[edge.b if inside[0] else edge.a] = edge.guess
    return made


def _after(edge: Edge, number: int, doors: dict[int, int], confirmed: bool) -> Edge | None:
    """A way once a guess is decided; the guesses behind it move up by one."""
    ends = {doors.get(edge.a, -1), doors.get(edge.b, -1)} - {-1}
    if not confirmed and (edge.guess == number or number in ends):
        return None
    guess = edge.guess
    if guess == number:
        guess = min(ends - {number}, default=-1)  # between two guessed doors the other one is still a guess
    return edge._replace(guess=guess - (guess > number))
