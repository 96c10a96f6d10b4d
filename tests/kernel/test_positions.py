"""A place in a feed as it goes outside: it tells nothing, and nobody else's opens anything."""

from uuid import uuid4

from kernel.crypto import Positions


def test_two_loads_of_a_page_tell_nothing_of_what_is_hidden() -> None:
    """Nothing happened between two loads, or something the viewer is not shown: both look the same. All read back."""
    positions, subject = Positions(b"k" * 32), uuid4()
    writer = positions.writer("person/1", subject)
    told = {writer.token(seq, bytes([0, 0, n])) for seq in (7, 8) for n in range(8)}
    assert len(told) == 16
    assert {len(token) for token in told} == {22}
    assert {positions.read(token, "person/1", subject) for token in told} == {7, 8}
    for token in told:
        assert positions.read(token, "person/2", subject) is None
        assert positions.read(token, "person/1", uuid4()) is None
        assert positions.read(("A" if token[0] != "A" else "B") + token[1:], "person/1", subject) is None
