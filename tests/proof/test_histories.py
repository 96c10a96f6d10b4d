"""Random histories of one bill on PostgreSQL, the providers' own books as oracle; at last all is quiet and right.

Hypothesis chooses who does what next, what gets lost and where the process dies; it makes a failing history short.
``HOUFU_HISTORIES`` says how many (``make torture``: many).
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.service import answers, refunds
from billing.service.lines import lines_of
from kernel.errors import HoufuError, IllegalTransitionError
from payments import flows
from payments.rules import Piece
from payments.service import rounds
from tests.proof.acting import read_at_terminal
from tests.proof.lines import LOST, UNHEARD
from tests.proof.office import DAUGHTER, MOTHER, SON, Office
from tests.proof.stand import Stand
from visits.flows import deliver_calls

HISTORIES = int(os.environ.get("HOUFU_HISTORIES", "12"))
STEPS = 25
WHO = {"mother": MOTHER, "daughter": DAUGHTER, "son": SON}
people = st.sampled_from(sorted(WHO))
nths = st.integers(0, 3)
# Which place of the act is disturbed, and how; most acts go well.
trouble = st.one_of(st.none(), st.none(), st.tuples(st.integers(0, 8), st.sampled_from([LOST, UNHEARD, "die", "die"])))
Trouble = tuple[int, str] | None


class Died(BaseException):
    """The process is gone, in the middle of something."""


class Disturbed:
    """Steps in at the nth place of an act."""

    def __init__(self, how: Trouble) -> None:
        self.at, self.how = how or (-1, "")
        self.place = -1

    async def __call__(self, where: str, faults: Sequence[str] = ()) -> str:
        """See ``lines.Step``."""
        if faults and self.how in (LOST, UNHEARD):
            self.place += 1
            return self.how if self.place == self.at and self.how in faults else ""
        if not faults and self.how == "die":
            self.place += 1
            if self.place == self.at:
                raise Died
        return ""


async def _awaited(doing: Awaitable[Any]) -> Any:
    return await doing


class Bill(RuleBasedStateMachine):
    """One visit of three lines, two of them by another department."""

    stand: ClassVar[Stand]
    office: ClassVar[Office]

    def __init__(self) -> None:
        super().__init__()
        self.kept = self.office.keep()
        self.disputed = self.reversed = False
        self.wait(self.office.db.raw("SAVEPOINT history"))

    @property
    def o(self) -> Office:
        return self.office

    def wait(self, doing: Awaitable[Any]) -> Any:
        """Run something to its end."""
        return self.stand.run(_awaited(doing))

    def do(self, act: Callable[[], Awaitable[Any]], how: Trouble = None) -> Any:
        """Somebody does something; a refusal is part of life, a move that is not drawn is not."""
        self.office.stepping = Disturbed(how)
        try:
            return self.wait(act())
        except IllegalTransitionError:
            raise
        except (HoufuError, Died) as no:
            return no
        finally:
            self.office.stepping = None

    # ------------------------------------------------------------------------------------------------- paying

    @initialize(who=people, what=st.sampled_from(["press", "shares", "insurance"]))
    def begins(self, who: str, what: str) -> None:
        """Left to chance alone, most histories would be of nothing."""
        if what == "insurance":
            self.insures(False, None)
            self.consents(None)
            self.agrees(None)
            self.insurer(0, "pay")
            self.insurer(1, "pay")
        elif what == "shares":
            self.cuts(300, None)
        self.presses(who, None)

    @rule(who=people, how=trouble)
    def pays(self, who: str, how: Trouble) -> None:
        """Presses, confirms what is open, and every notice arrives, or something of it goes wrong."""
        self.presses(who, None)
        for order in self.o.orders("NOTPAY"):
            self.o.confirm(order)
        for post in self.o.posts:
            if not post.taken:
                self.do(partial(self.o.deliver, post), how)

    @rule(who=people, how=trouble)
    def presses(self, who: str, how: Trouble) -> None:
        self.do(lambda: self.o.press(getattr(self.o, who), WHO[who]), how)

    @rule(who=people, how=trouble)
    def presses_an_old_sheet(self, who: str, how: Trouble) -> None:
        """The page was opened before anybody paid, so it shows the whole, whatever is left of it."""
        self.do(lambda: self.o.press(getattr(self.o, who), WHO[who], self.o.owed), how)

    @rule(who=people, share=st.integers(1, 4), how=trouble)
    def presses_for_a_share(self, who: str, share: int, how: Trouble) -> None:
        async def act() -> None:
            fen = await self.o.share(share)
            if fen:
                await self.o.press(getattr(self.o, who), WHO[who], fen, share)

        self.do(act, how)

    @rule(fen=st.integers(1, 899), how=trouble)
    def cuts(self, fen: int, how: Trouble) -> None:
        async def act() -> None:
            left = await self.o.left()
            async with self.o.db.begin() as tx:
                await rounds.cut(tx, self.o.mother, self.o.visit, [Piece(fen)], left)

        self.do(act, how)

    @rule(nth=nths)
    def confirms(self, nth: int) -> None:
        waiting = self.o.orders("NOTPAY")
        if waiting:
            self.o.confirm(waiting[nth % len(waiting)])

    @rule(how=trouble)
    def sweeps(self, how: Trouble) -> None:
        self.do(self.o.sweep, how)

    @rule(seconds=st.sampled_from([3, 20, 61, 900, 2000]), how=trouble)
    def time_passes(self, seconds: int, how: Trouble) -> None:
        self.o.clock.move(timedelta(seconds=seconds))
        self.do(self.o.sweep, how)

    @rule(how=trouble)
    def gives_up(self, how: Trouble) -> None:
        self.do(lambda: flows.give_up(self.o.db, self.o.pay, self.o.mother, self.o.visit), how)

    @rule(how=trouble)
    def told(self, how: Trouble) -> None:
        self.do(lambda: deliver_calls(self.o.db, self.o.his), how)

    @rule()
    def late_money(self) -> None:
        for order in self.o.orders("CLOSED")[:1]:
            order.state, order.expires = "NOTPAY", order.expires + timedelta(days=1)
            self.o.confirm(order)
            if not self.wait(self.o.looked_at(order)):
                # After our last look the notice alone can tell, which WeChat repeats for a day; then the statement.
                self.do(partial(self.o.deliver, self.o.posts[-1]))

    # ------------------------------------------------------------------------------------------------ notices

    @precondition(lambda self: self.o.posts)
    @rule(nth=nths, how=trouble)
    def hears(self, nth: int, how: Trouble) -> None:
        self.do(lambda: self.o.deliver(self.o.posts[nth % len(self.o.posts)]), how)

    @precondition(lambda self: any(p.taken for p in self.o.posts))
    @rule(nth=nths)
    def played_again(self, nth: int) -> None:
        """The very bytes of a try that was taken: refused, and nothing moves."""
        taken = [p for p in self.o.posts if p.taken]
        post, before = taken[nth % len(taken)], self.wait(self.o.money())
        assert self.do(lambda: self.o.deliver(post, nonce=f"{post.id}-{post.tries}")) in (409, 401)
        post.tries -= 1
        assert self.wait(self.o.money()) == before

    @precondition(lambda self: self.o.orders("SUCCESS"))
    @rule(change=st.sampled_from(["amount", "payer", "mchid", "appid", "transaction"]))
    def does_not_fit(self, change: str) -> None:
        """Genuine, but not of this payment: refused, and nothing moves."""
        before = self.wait(self.o.money())
        told = self.do(lambda: self.o.misfit(self.o.orders("SUCCESS")[0], change))
        assert told == 409, (change, told)
        assert self.wait(self.o.money()) == before

    # ---------------------------------------------------------------------------------------------- insurance

    @rule(used=st.sampled_from([True, False, None]), how=trouble)
    def insures(self, used: bool | None, how: Trouble) -> None:
        self.do(lambda: flows.insure(self.o.db, self.o.his, self.o.counter, self.o.visit, account_used=used), how)

    @rule(how=trouble)
    def consents(self, how: Trouble) -> None:
        async def act() -> None:
            for part in await self.o.waiting_parts():
                await read_at_terminal(self.o, part)

        self.do(act, how)

    @rule(how=trouble)
    def agrees(self, how: Trouble) -> None:
        async def act() -> None:
            await flows.confirm(self.o.db, self.o.center, self.o.counter, self.o.visit, await self.o.shown_cash())

        self.do(act, how)

    @rule(nth=nths, what=st.sampled_from(["pay", "pay", "pay", "fail"]))
    def insurer(self, nth: int, what: str) -> None:
        # What it takes back once the cash may be there is a person's to mend, and the auditor calls them.
        if what == "pay" or (self.wait(self.o.half()) and not self.o.orders("NOTPAY", "SUCCESS")):
            self.o.insurer_does(what, nth)
            self.time_passes(61, None)

    # ------------------------------------------------------------------------------- disputes and money back

    @rule(nth=nths)
    def disputes(self, nth: int) -> None:
        async def act() -> None:
            async with self.o.db.begin() as tx:
                every = await lines_of(tx, self.o.visit)
                await answers.dispute(tx, self.o.mother, every[nth % len(every)].id, "没有做过")

        self.do(act)

    @rule(upheld=st.booleans())
    def answers_it(self, upheld: bool) -> None:
        async def act() -> None:
            async with self.o.db.begin() as tx:
                for dispute, _, _ in await answers.disputes_open(tx, self.o.counter.hospital_id):  # type: ignore[arg-type]
                    await answers.answer_dispute(tx, self.o.counter, dispute.id, upheld=upheld)

        self.do(act)

    @rule(nth=nths)
    def asks_back(self, nth: int) -> None:
        async def act() -> None:
            if await self.o.insured():
                return  # what the insurance has paid goes back whole, never by the line
            async with self.o.db.begin() as tx:
                every = await lines_of(tx, self.o.visit)
                asked = await refunds.ask(tx, self.o.mother, self.o.visit, [every[nth % len(every)].id], "重复收费了")
            async with self.o.db.begin() as tx:
                await refunds.answer(tx, self.o.finance, asked.id, agreed=True)

        self.do(act)

    @rule(nth=nths)
    def the_hospital_takes_a_line_back(self, nth: int) -> None:
        if not self.wait(self.o.insured()):
            self.do(lambda: self.o.reversal(nth))

    @rule()
    def bank_answers(self) -> None:
        self.o.bank()

    # ------------------------------------------------------------------------------------------ always, and at last

    @invariant()
    def sound(self) -> None:
        self.wait(self.o.audit())

    def teardown(self) -> None:
        """Nobody does anything any more: everything comes to rest, and every book says the same."""
        try:
            self.wait(self.o.settle())
            self.wait(self.o.check(one=False))
        finally:
            self.wait(self.o.db.raw("ROLLBACK TO SAVEPOINT history; RELEASE SAVEPOINT history"))
            self.o.restore(self.kept)
            self.o.quiet = False


def test_random_histories(stand: Stand) -> None:
    """Whatever people, networks and processes do: the auditor finds nothing after any step, and at last all agree."""
    Bill.stand, Bill.office = stand, stand.office(("CONS2", "|", "URINE"))
    quick = settings(
        max_examples=HISTORIES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=HISTORIES < 50,  # the ordinary suite says the same every time
        database=None,
        suppress_health_check=list(HealthCheck),
        # Whether a planted bug is found is all that matters; elsewhere a failing history is made short.
        phases=[Phase.generate] if os.environ.get("HOUFU_MUTANT") else [Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(Bill, settings=quick)


def test_money_after_our_last_look(stand: Stand) -> None:
    """A history that chance finds too seldom: the order was closed, looked at for the last time, and paid even so."""
    Bill.stand, Bill.office = stand, stand.office(("CONS2", "|", "URINE"))
    bill = Bill()
    bill.begins("daughter", "press")
    bill.presses("daughter", None)  # the first order is closed
    bill.time_passes(900, None)
    bill.late_money()
    bill.sound()
    bill.teardown()
