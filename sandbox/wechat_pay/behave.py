"""How the sandbox's WeChat Pay is told to misbehave: a list of rules, each for some orders and some times.

A rule is ``{"on": where, "do": what, "out_trade_no"?: str, "amount"?: fen, "times"?: n | null, "probability"?: p,
"seed"?: int, "seconds"?: s}``. ``times`` defaults to 1; ``null`` means always. The first rule that fits acts.

========== =====================================================================================================
on         do
========== =====================================================================================================
create     (code, reverse, query, close, refund, query_refund, bill, mix_create, mix_query, mix_report;
           by APIv2: face, face_query, face_reverse, face_terminal, deduct, deduct_query, contract, contract_end)
           ``slow`` waits ``seconds`` and goes on; ``error_before`` 500, nothing done; ``error_after`` done, then 500;
           ``hang_after`` done, then silence for ``seconds`` (default 30); ``throttle`` 429; ``bad_signature``
           ``unsigned`` ``wrong_serial`` ``stale`` spoil its signature (APIv2 has no more than the first two, answers
           SYSTEMERROR for 500, and knows ``fail``: return_code FAIL, unsigned)
           face_reverse: also ``recall``, not undone yet, to be asked again
pay        ``decline`` the bank says no, the order stays NOTPAY (a code or face: PAYERROR); ``userpaying`` (these)
           the phone asks for the password for ``seconds`` (default: until ``/control/code/password``), then pays
mix_pay    ``insurance_fails`` the cash is taken, the insurance does not pay; ``cash_fails`` the insurance pays, the
           cash does not come; ``insurance_hangs`` undecided until ``/control/mix/finish``
deducting  ``not_enough`` taken in, and then the purse is empty; ``stuck`` undecided until ``/control/deduct``
close      also ``password_entered``: refused, the payer is through already
notify     (mix_notify) ``drop`` never arrives (per try); ``delay`` by ``seconds``; ``duplicate`` twice; ``reorder``
           after the next notice of anybody; ``signtest`` a probe first; ``wrong_serial`` ``tamper`` ``stale``
           spoil this try
refunding  ``abnormal`` ``closed`` the money does not arrive; ``stuck`` stays PROCESSING
rows       ``missing`` ``extra`` ``differing``: a line of the daily bill is wrong, the first or ``out_trade_no``'s
day        ``over``: a day's bill can be had while it lasts, as the rehearsal's evening needs it
========== =====================================================================================================
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_SPOILT = {"bad_signature", "unsigned", "wrong_serial", "stale"}
_REQUEST = {"slow", "error_before", "error_after", "hang_after", "throttle", *_SPOILT}
_APIV2 = {"slow", "error_before", "error_after", "hang_after", "throttle", "bad_signature", "unsigned", "fail"}
_NOTICE = {"drop", "delay", "duplicate", "reorder", "signtest", "wrong_serial", "tamper", "stale"}
KNOWN = {
    "create": _REQUEST,
    "code": _REQUEST,
    "reverse": _REQUEST,
    "face": _APIV2,
    "face_query": _APIV2,
    "face_reverse": _APIV2 | {"recall"},
    "face_terminal": _APIV2,
    "deduct": _APIV2,
    "deduct_query": _APIV2,
    "contract": _APIV2,
    "contract_end": _APIV2,
    "deducting": {"not_enough", "stuck"},
    "mix_create": _REQUEST,
    "mix_query": _REQUEST,
    "mix_report": _REQUEST,
    "query": _REQUEST,
    "close": _REQUEST | {"password_entered"},
    "refund": _REQUEST,
    "query_refund": _REQUEST,
    "bill": _REQUEST,
    "pay": {"decline", "userpaying"},
    "mix_pay": {"insurance_fails", "cash_fails", "insurance_hangs"},
    "notify": _NOTICE,
    "mix_notify": _NOTICE,
    "refunding": {"abnormal", "closed", "stuck"},
    "rows": {"missing", "extra", "differing"},
    "day": {"over"},
}

MAGIC_AMOUNTS: dict[int, tuple[str, str]] = {
    66601: ("pay", "decline"),
    66602: ("create", "error_after"),
    66603: ("create", "hang_after"),
    66604: ("notify", "drop"),
    66605: ("notify", "duplicate"),
    66606: ("refunding", "abnormal"),
    66607: ("refunding", "stuck"),
    66608: ("pay", "userpaying"),
    66611: ("mix_pay", "insurance_fails"),
    66612: ("mix_pay", "cash_fails"),
    66613: ("mix_pay", "insurance_hangs"),
    66614: ("mix_notify", "drop"),
}


@dataclass(slots=True)
class Rule:
    """One misbehaviour; ``left`` counts down unless it is None."""

    on: str
    do: str
    out_trade_no: str | None = None
    amount: int | None = None
    left: int | None = 1
    probability: float = 1.0
    seconds: float | None = None
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def fits(self, on: str, out_trade_no: str | None, amount: int | None) -> bool:
        """Whether it acts now; rolls the dice only when everything else fits."""
        if self.on != on or self.left == 0:
            return False
        if self.out_trade_no is not None and self.out_trade_no != out_trade_no:
            return False
        if self.amount is not None and self.amount != amount:
            return False
        return self.probability >= 1.0 or self.dice.random() < self.probability


class Behaviour:
    """The plan in force; magic amounts act once an order (dropped notices: every try)."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._magic_done: set[tuple[str, str]] = set()

    def plan(self, rules: Iterable[dict[str, Any]]) -> None:
        """Add rules after those in force.

        Raises:
            ValueError: a name this page does not list.
        """
        fresh = []
        for raw in rules:
            raw = dict(raw)
            seed, times = raw.pop("seed", 0), raw.pop("times", 1)
            on, do = raw.get("on"), raw.get("do")
            if on not in KNOWN or do not in KNOWN[on]:
                raise ValueError(f"no such behaviour: on={on!r} do={do!r}")
            try:
                # Chance in a sandbox must be repeatable; nothing secret hangs on it.
                fresh.append(Rule(**raw, left=times, dice=random.Random(seed)))
            except TypeError as error:
                raise ValueError(str(error)) from None
        self.rules.extend(fresh)

    def forget(self) -> None:
        """Behave well again."""
        self.rules.clear()

    def now(self, on: str, out_trade_no: str | None = None, amount: int | None = None) -> Rule | None:
        """The rule that acts on this occasion, used up by one."""
        for rule in self.rules:
            if rule.fits(on, out_trade_no, amount):
                if rule.left is not None:
                    rule.left -= 1
                return rule
        magic = MAGIC_AMOUNTS.get(amount or 0)
        if magic is None or magic[0] != on or out_trade_no is None:
            return None
        if on == "create":
            if (on, out_trade_no) in self._magic_done:
                return None
            self._magic_done.add((on, out_trade_no))
        return Rule(on=on, do=magic[1])
