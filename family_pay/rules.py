"""What a patient may offer a relative, and how long an invitation is good."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from notices.rules import Row
from people.rules import Depth, View
from words import messages
from words.family import relation as relation_label

CODE_LIVES = timedelta(minutes=10)
LINK_LIVES = timedelta(hours=24)
YES_LIVES = timedelta(hours=24)  # from a relative's accepting to the patient's word
CODE_CHARACTERS = 6  # of 32: 30 bits
CODE_TRIES = 5
GUESSES_A_DAY = 20
OPEN_AT_MOST = 10
INVITES_A_DAY = 30  # of one patient
PHONE_CODE_DIGITS = 6
PHONE_CODE_LIVES = timedelta(minutes=10)
PHONE_CODE_TRIES = 5
PHONE_ASKS_A_DAY = 5  # of one who asks
PHONE_CODES_A_DAY = 3  # to one patient, whoever asks; more are answered alike and not sent
PHONE_ASK_OPEN = timedelta(minutes=30)  # from asking to saying yes
PAY_LINK_LIVES = timedelta(hours=24)
PAY_LINK_READ = timedelta(days=7)  # how long its page shows the receipt after it was paid
PAY_LINKS_AT_MOST = 5  # waiting at once, of one visit
ASK_PATIENCE = timedelta(days=1)  # how long after a visit's end something owed still makes a payer hear of it
PAY_LINK_TRIES = 20  # a link that many began to pay and did not is no longer an honest one


class Relation(StrEnum):
    """What the relative is to the patient."""

    DAUGHTER = "daughter"
    SON = "son"
    SPOUSE = "spouse"
    PARENT = "parent"
    SIBLING = "sibling"
    GRANDCHILD = "grandchild"
    FRIEND = "friend"
    OTHER = "other"


class InvitationState(StrEnum):
    """Where an invitation stands."""

    OFFERED = "offered"
    WAITING = "waiting"  # somebody has accepted: she sees who, and says yes or no
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


INVITATION = Lifecycle[InvitationState](
    "Invitation",
    {
        (None, InvitationState.OFFERED): "InvitationOffered",
        (InvitationState.OFFERED, InvitationState.WAITING): "InvitationClaimed",
        (InvitationState.OFFERED, InvitationState.ACCEPTED): "InvitationAccepted",  # of a desk, with her beside it
        (InvitationState.OFFERED, InvitationState.WITHDRAWN): "InvitationWithdrawn",
        (InvitationState.WAITING, InvitationState.ACCEPTED): "InvitationAccepted",
        (InvitationState.WAITING, InvitationState.REFUSED): "InvitationRefused",
        (InvitationState.WAITING, InvitationState.WITHDRAWN): "InvitationWithdrawn",
    },
)


class PhoneBindingState(StrEnum):
    """Where a request by the patient's name, number and phone stands."""

    ASKED = "asked"
    PROVEN = "proven"  # the code was right: whom they bind is shown
    BOUND = "bound"
    ENDED = "ended"


PHONE_BINDING = Lifecycle[PhoneBindingState](
    "Phone binding",
    {
        (None, PhoneBindingState.ASKED): "PhoneBindingAsked",
        (PhoneBindingState.ASKED, PhoneBindingState.PROVEN): "PhoneBindingProven",
        (PhoneBindingState.PROVEN, PhoneBindingState.BOUND): "PhoneBindingBound",
        (PhoneBindingState.ASKED, PhoneBindingState.ENDED): "PhoneBindingEnded",
        (PhoneBindingState.PROVEN, PhoneBindingState.ENDED): "PhoneBindingEnded",
    },
)


class AskedJustNowError(HoufuError):
    """The insurer was asked a minute ago."""

    code = "asked_just_now"
    kind = Kind.TOO_MANY


class TooManyAsksError(HoufuError):
    """Five asked for today."""

    code = "too_many_asks"
    kind = Kind.TOO_MANY


class AskExpiredError(HoufuError):
    """Too old, tried too often, used, somebody else's, or never there: all answered alike."""

    code = "ask_expired"
    kind = Kind.CONFLICT


class WrongAskCodeError(HoufuError):
    """Not the digits on the patient's phone, or there is no such patient: answered alike."""

    code = "wrong_ask_code"


class EmptyOfferError(HoufuError):
    """Nothing was offered, or something nobody can offer."""

    code = "empty_offer"


class SharingOffError(HoufuError):
    """Nobody may look before the patient has agreed to share at all."""

    code = "sharing_off"
    kind = Kind.CONFLICT


class InviteExpiredError(HoufuError):
    """Too old, withdrawn, or never there: all answered alike."""

    code = "invite_expired"
    kind = Kind.CONFLICT


class InviteUsedError(HoufuError):
    """Somebody has accepted it already."""

    code = "invite_used"
    kind = Kind.CONFLICT


class OwnInviteError(HoufuError):
    """One cannot be one's own relative."""

    code = "own_invite"
    kind = Kind.CONFLICT


class WrongInviteCodeError(HoufuError):
    """No live invitation of this patient has this code."""

    code = "wrong_invite_code"


class TooManyGuessesError(HoufuError):
    """Twenty codes tried today."""

    code = "too_many_tries"
    kind = Kind.TOO_MANY


class TooManyInvitesError(HoufuError):
    """Ten invitations are waiting already."""

    code = "too_many_invites"
    kind = Kind.TOO_MANY


class GuardianRefusedError(HoufuError):
    """From fourteen on a person who can act stands for themselves."""

    code = "guardian_refused"
    kind = Kind.CONFLICT


class NoPapersError(HoufuError):
    """For an adult a paper must have been seen, and a last day must be still to come."""

    code = "no_papers"


class UnknownWordError(HoufuError):
    """No such sentence, or it is the other side's to say."""

    code = "validation"


class WordsOverError(HoufuError):
    """The visit is over."""

    code = "words_over"
    kind = Kind.CONFLICT


class WordsTooFastError(HoufuError):
    """The last one was a few seconds ago."""

    code = "words_too_fast"
    kind = Kind.TOO_MANY


class WordsManyError(HoufuError):
    """As many as anybody needs in one visit."""

    code = "words_many"
    kind = Kind.TOO_MANY


WORDS_APART = 5  # seconds
WORDS_AT_MOST = 30  # of one sender in one visit


def see_word(row: Row, view: View) -> Mapping[str, Any] | None:
    """What of a ``word`` row a view sees: it is the family's, no business of the desks."""
    if view.staff or not view.shows(row.audience, row.category):
        return None
    word = row.payload["word"]
    said = messages.sentence(word["code"], to_patient=word["to_patient"])
    return {"word": {**word, "text": said, "who": relation_label(word["relation"]) if word["to_patient"] else None}}


class PayLinkState(StrEnum):
    """What whoever opens a pay link finds."""

    OPEN = "open"
    PAYING = "paying"  # by this link
    BUSY = "busy"  # otherwise: the family, the counter, or the insurance is reckoning
    PAID = "paid"  # by this link
    CHANGED = "changed"  # it is no longer the amount the link was made for
    SETTLED = "settled"  # nothing is left to pay
    GONE = "gone"


class PayLinkGoneError(HoufuError):
    """Too old, withdrawn, tried too often, or never there: all answered alike."""

    code = "link_gone"
    kind = Kind.NOT_FOUND


class TooManyLinksError(HoufuError):
    """Five pay links of this visit are waiting already."""

    code = "too_many_links"
    kind = Kind.TOO_MANY


@dataclass(frozen=True, slots=True)
class Offer:
    """What a patient opens for a relative.

    Attributes:
        relation: what the relative is to the patient.
        pays: may pay, at most ``cap_fen`` a payment, asked first each time when ``ask_first``.
        depth: how much of the visit the relative watches; ``NOTHING`` for not at all.
        opened: sensitive categories opened one by one; only with a depth.
        signs: may sign the letter ahead.
        books: may book for the patient, and carry the pass of a visit that is known to them.
        calls: is shown the patient's telephone number; only with a depth.
    """

    relation: Relation
    pays: bool = False
    cap_fen: int | None = None
    ask_first: bool = False
    depth: Depth = Depth.NOTHING
    opened: frozenset[str] = frozenset()
    signs: bool = False
    calls: bool = False
    books: bool = False

    def checked(self, categories: frozenset[str]) -> "Offer":
        """The offer itself, when it can be made.

        Raises:
            EmptyOfferError: nothing in it, a depth only the patient has, an unknown category, a cap that is no money.
        """
        nothing = not (self.pays or self.signs or self.books or self.depth > Depth.NOTHING)
        idle = (bool(self.opened) or self.calls) and self.depth is Depth.NOTHING
        poor = self.cap_fen is not None and (self.cap_fen <= 0 or not self.pays)
        if nothing or idle or poor or self.depth > Depth.RESULTS or not self.opened <= categories:
            raise EmptyOfferError
        return self


def plain_code(text: str) -> str:
    """A code as somebody typed it: blanks, dashes and small letters do not matter."""
    return "".join(c for c in text.upper() if c.isalnum())
