"""What usually happens when a bill is paid, and what may happen besides; each is told to ``tree``."""

from datetime import timedelta

from payments import flows
from payments.flows import mixing
from payments.ports import CashChannel
from payments.rules import Piece
from payments.service import rounds
from payments.service.mixing import Payer
from people.rules import Actor
from tests.proof.acting import cancels, does, first, read_at_terminal, wants_first
from tests.proof.office import DAUGHTER, MOTHER, SON, Office
from tests.proof.tree import Act, Do, Scenario
from visits.flows import deliver_calls


def presses(who: str, share: int | None = None, fen: int | None = None) -> Do:
    """Somebody presses the button."""

    async def do(o: Office) -> None:
        actor: Actor = getattr(o, who)
        await o.press(actor, {"mother": MOTHER, "daughter": DAUGHTER, "son": SON}[who], fen, share)

    return do


def confirms(nth: int = 0) -> Do:
    """The payer of the nth order confirms, if the platform has one and lets them."""

    async def do(o: Office) -> None:
        every = list(o.town.pay.books.orders.values())
        if nth < len(every):
            o.confirm(every[nth])

    return do


def hears(nth: int = 0) -> Do:
    """The nth notice of the platform arrives."""

    async def do(o: Office) -> None:
        if nth < len(o.posts):
            await o.deliver(o.posts[nth])

    return do


async def gives_up(o: Office) -> None:
    """The patient gives the round up."""
    await flows.give_up(o.db, o.pay, o.mother, o.visit)


async def sweeps(o: Office) -> None:
    """The worker looks for what is due."""
    await o.sweep()


async def tells(o: Office) -> None:
    """The hospital is told."""
    await deliver_calls(o.db, o.his)


async def returns(o: Office) -> None:
    """What is to go back is asked for."""
    await flows.refund_due(o.db, o.pay)


async def bank(o: Office) -> None:
    """The bank answers for what goes back."""
    o.bank()


def waits(**by: float) -> Do:
    """Time passes."""

    async def do(o: Office) -> None:
        o.clock.move(timedelta(**by))

    return do


def then(*acts: Do) -> Do:
    """One after the other."""

    async def do(o: Office) -> None:
        for act in acts:
            await act(o)

    return do


def undisturbed(*acts: Do) -> Do:
    """What came before, while nothing goes wrong."""

    async def do(o: Office) -> None:
        o.quiet = True
        await then(*acts)(o)
        o.quiet = False

    return do


async def reverses(o: Office) -> None:
    """The hospital takes the first line back, although it is paid."""
    await o.reversal(0)


def cuts(*fen: int) -> Do:
    """The mother cuts what is left."""

    async def do(o: Office) -> None:
        left = await o.left()
        async with o.db.begin() as tx:
            await rounds.cut(tx, o.mother, o.visit, [Piece(f) for f in fen], left)

    return do


async def late(o: Office) -> None:
    """What must never happen: the platform takes money for an order it has closed."""
    for order in o.orders("CLOSED")[:1]:
        order.state = "NOTPAY"
        order.expires += timedelta(days=1)
        o.confirm(order)


# ----------------------------------------------------------------------------------------------------- paid first


async def presses_first(o: Office) -> None:
    """The mother chooses what is ordered, and presses."""
    fen, lines = await first(o)
    await o.press(o.mother, MOTHER, fen, lines=lines)


# --------------------------------------------------------------------------------------------------- the insurance


async def insures(o: Office) -> None:
    """The mother chooses her insurance, on her phone."""
    await flows.insure(o.db, o.his, o.mother, o.visit, account_used=False)


async def consents(o: Office) -> None:
    """She consents to every settlement that waits for it."""
    for part in await o.waiting_parts():
        code = o.town.insurance.books.consent(MOTHER)
        await flows.authorize(o.db, o.center, o.mother, part, code, MOTHER)


async def at_counter(o: Office) -> None:
    """A cashier uses the mother's insurance for her."""
    await flows.insure(o.db, o.his, o.counter, o.visit, account_used=False)


async def read(o: Office) -> None:
    """A certified terminal reads her, once for every settlement that waits for it."""
    for part in await o.waiting_parts():
        await read_at_terminal(o, part)


async def agrees(o: Office) -> None:
    """She agrees to what the cashier's screen shows; from now on the insurance pays, by the terminal before her."""
    await flows.confirm(o.db, o.center, o.counter, o.visit, await o.shown_cash())


def insurer(do: str, nth: int | None = None) -> Do:
    """What the insurer does with its orders, where their state allows it."""

    async def act(o: Office) -> None:
        o.insurer_does(do, nth)

    return act


def before_paid(do: Do) -> Do:
    """Only while the bill is not paid whole: what the insurer does afterwards is a person's to mend."""

    async def only(o: Office) -> None:
        if await o.half():
            await do(o)
            o.clock.move(timedelta(seconds=61))
            await flows.insurance_due(o.db, o.center)

    return only


async def goes_on(o: Office) -> None:
    """The worker goes on with settlements."""
    await flows.insurance_due(o.db, o.center)


async def agrees_to_one_press(o: Office) -> None:
    """She agrees that one password pays insurance and cash."""
    payer = Payer(CashChannel.JSAPI, MOTHER, o.till)
    await mixing.agree(o.db, o.lines, o.mother, o.visit, await o.shown_cash(), payer)


async def password(o: Office) -> None:
    """She enters the password in WeChat."""
    o.password()


def at_the_press(goes_wrong: str) -> Do:
    """Something goes wrong at WeChat when the password is entered."""

    async def do(o: Office) -> None:
        o.town.pay.behaviour.plan([{"on": "mix_pay", "do": goes_wrong}])

    return do


async def looks(o: Office) -> None:
    """The worker asks WeChat and the centre."""
    o.clock.move(timedelta(seconds=61))
    await mixing.due(o.db, o.lines)
    await flows.insurance_due(o.db, o.center)


def act(name: str, do: Do, *, droppable: bool = False) -> Act:
    """Shorter."""
    return Act(name, do, droppable)


ONE = Scenario(
    "one payer",
    [
        act("mother presses", presses("mother")),
        act("she confirms", confirms(), droppable=True),
        act("notice", hears(), droppable=True),
        act("hospital is told", tells, droppable=True),
    ],
    {
        "confirms early": confirms(),
        "notice early": hears(),
        "notice again": hears(),
        "daughter presses": presses("daughter"),
        "mother presses again": presses("mother"),
        "given up": gives_up,
        "sweep": sweeps,
        "16 minutes": then(waits(minutes=16), sweeps),
        "closed yet paid": late,
    },
)
SHARES = Scenario(
    "two shares",
    [
        act("mother cuts", cuts(400)),
        act("daughter presses", presses("daughter", 1, 400)),
        act("son presses", presses("son", 2, 500)),
        act("daughter confirms", confirms(0), droppable=True),
        act("notice", hears(0), droppable=True),
        act("son confirms", confirms(1), droppable=True),
        act("notice", hears(1), droppable=True),
        act("hospital is told", tells),
    ],
    {
        "daughter confirms early": confirms(0),
        "son confirms early": confirms(1),
        "first notice early": hears(0),
        "second notice early": hears(1),
        "given up": gives_up,
        "sweep": sweeps,
        "16 minutes": then(waits(minutes=16), sweeps),
        "closed yet paid": late,
    },
)
GIVEN_UP = Scenario(
    "given up",
    [
        act("mother cuts", cuts(400)),
        act("daughter pays", then(presses("daughter", 1, 400), confirms(0), hears(0))),
        act("son presses", presses("son", 2, 500)),
        act("mother gives up", gives_up),
        act("sweep", then(waits(seconds=20), sweeps)),
        act("money goes back", returns),
        act("bank", bank),
        act("notice", hears(1), droppable=True),
    ],
    {
        "son confirms": confirms(1),
        "son's notice": hears(1),
        "sweep now": sweeps,
        "closed yet paid": then(late, sweeps),
        "mother pays anew": presses("mother"),
        "bank early": bank,
    },
)
INSURED = Scenario(
    "insured",
    [
        act("begun at the counter", at_counter),
        act("terminal reads her", read),
        act("agrees", agrees),
        act("insurer pays", insurer("pay"), droppable=True),
        act("settlements go on", then(waits(seconds=61), goes_on)),
        act("daughter presses", presses("daughter")),
        act("she confirms", confirms(), droppable=True),
        act("notice", hears(), droppable=True),
        act("hospital is told", tells),
    ],
    {
        "insurer pays early": insurer("pay"),
        "insurer fails": before_paid(insurer("fail")),
        "insurer takes back": before_paid(insurer("reverse", 0)),
        "given up": gives_up,
        "sweep": sweeps,
        "half an hour": then(waits(minutes=31), sweeps),
        "confirms early": confirms(),
    },
)
TWO_PARTS = Scenario(
    "two settlements, shares of the rest",
    [
        act("begun at the counter", at_counter),
        act("terminal reads her", read),
        act("agrees", agrees),
        act("insurer pays one", insurer("pay", 0)),
        act("settlements go on", then(waits(seconds=61), goes_on)),
        act("insurer pays the other", insurer("pay", 1), droppable=True),
        act("settlements go on", then(waits(seconds=61), goes_on)),
        act("mother cuts", cuts(100)),
        act("daughter pays", then(presses("daughter", 2, 100), confirms(0), hears(0))),
        act("mother pays", then(presses("mother"), confirms(1), hears(1))),
        act("hospital is told", tells),
    ],
    {
        "insurer fails": before_paid(insurer("fail", 1)),
        "insurer takes back": before_paid(insurer("reverse", 0)),
        "given up": gives_up,
        "sweep": then(waits(seconds=61), sweeps),
        "half an hour": then(waits(minutes=31), sweeps),
    },
    items=("CONS2", "|", "URINE"),
)
MIXED = Scenario(
    "one press pays both",
    [
        act("insured", insures),
        act("consents", consents),
        act("agrees to one press", agrees_to_one_press),
        act("password", password, droppable=True),
        act("notice of the cash", hears(), droppable=True),
        act("worker looks", looks, droppable=True),
        act("hospital is told", tells),
    ],
    {
        "insurance fails": at_the_press("insurance_fails"),
        "cash fails": at_the_press("cash_fails"),
        "password early": password,
        "given up": gives_up,
        "sweep": then(waits(seconds=61), sweeps),
        "half an hour": then(waits(minutes=31), sweeps),
    },
)
RETURNED = Scenario(
    "a settlement goes back",
    [
        act(
            "insured, paid and told",
            undisturbed(
                *(at_counter, read, agrees, insurer("pay"), waits(seconds=61), goes_on),
                *(presses("mother"), confirms(), hears(), tells),
            ),
        ),
        act("hospital takes a line back", reverses),
        act("insurance gives back", then(waits(seconds=61), goes_on)),
        act("cash is asked back", returns),
        act("bank", bank),
        act("notice", hears(1), droppable=True),
        act("hospital is told", tells),
    ],
    {"sweep": then(waits(seconds=61), sweeps), "bank early": bank},
    whole=False,
)
FIRST = Scenario(
    "paid first",
    [
        act("hospital wants it paid first", undisturbed(wants_first)),
        act("mother chooses and presses", presses_first),
        act("she confirms", confirms(), droppable=True),
        act("notice", hears(), droppable=True),
        act("hospital is told", tells, droppable=True),
        act("department does it", does, droppable=True),
        act("cash is asked back", returns),
        act("bank", bank),
    ],
    {
        "confirms early": confirms(),
        "done early": does,
        "doctor cancels": cancels,
        "taken back": reverses,
        "given up": gives_up,
        "closed yet paid": late,
        "sweep": then(waits(seconds=61), sweeps),
        "16 minutes": then(waits(minutes=16), sweeps),
    },
    items=("~URINE",),
    whole=False,
)
EVERY = (ONE, SHARES, GIVEN_UP, INSURED, TWO_PARTS, MIXED, RETURNED, FIRST)
