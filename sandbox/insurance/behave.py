"""How the sandbox's payment centre is told to misbehave: a list of rules, each for some orders and some times.

A rule is ``{"on": where, "do": what, "order"?: medOrgOrd, "times"?: n | null, "seconds"?: s}``; ``times`` defaults to
1, ``null`` means always. The first rule that fits acts.

=================== ============================================================================================
on                  do
=================== ============================================================================================
auth upload place   ``down`` a gateway's 503 page; ``slow`` waits ``seconds`` and goes on; ``silent`` nothing done, no
query revoke refund answer for ``seconds`` (30); ``throttle`` 429; ``error_before`` 500, nothing done; ``error_after``
                    done, then 500; ``hang_after`` done, then silence; ``garbage`` no JSON
the same but auth   ``bad_signature`` ``wrong_user_id`` ``wrong_key`` ``tamper`` ``unsigned`` spoil the answer;
                    ``old`` dated ten minutes ago; ``unsure`` done, but said to be a system error (signed);
                    ``wrong_amounts`` they do not add up; ``other_order`` a well-signed answer about another order
auth                ``both`` both numbers, ``neither`` none
query               ``stale`` the state before the last change, with today's date
refund              ``fail`` nothing returned; ``exp`` nobody knows
total detail        (and what the others do) ``missing`` ``extra`` ``differing``: one line of the day is wrong
notify              ``lose`` one try never arrives; ``late`` by ``seconds``; ``duplicate`` twice; ``tamper``
                    ``wrong_key`` spoil one try
=================== ============================================================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_CALL = {"down", "slow", "silent", "throttle", "error_before", "error_after", "hang_after", "garbage"}
SPOILT = {"bad_signature", "wrong_user_id", "wrong_key", "tamper", "unsigned"}
_SEALED = _CALL | SPOILT | {"old", "unsure", "wrong_amounts", "other_order"}
KNOWN = {
    "auth": _CALL | {"both", "neither"},
    "upload": _SEALED,
    "place": _SEALED,
    "query": _SEALED | {"stale"},
    "revoke": _SEALED,
    "refund": _SEALED | {"fail", "exp"},
    "family": _SEALED,
    "total": _SEALED | {"missing", "extra", "differing"},
    "detail": _SEALED | {"missing", "extra", "differing"},
    "notify": {"lose", "late", "duplicate", "tamper", "wrong_key"},
}


@dataclass(slots=True)
class Rule:
    """One misbehaviour; ``left`` counts down unless it is None."""

    on: str
    do: str
    order: str | None = None
    left: int | None = 1
    seconds: float | None = None


class Behaviour:
    """The plan in force."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def plan(self, rules: Iterable[dict[str, Any]]) -> None:
        """Add rules after those in force.

        Raises:
            ValueError: a name this page does not list.
        """
        fresh = []
        for raw in rules:
            given = dict(raw)
            times = given.pop("times", 1)
            on, do = given.get("on"), given.get("do")
            if on not in KNOWN or do not in KNOWN[on]:
                raise ValueError(f"no such behaviour: on={on!r} do={do!r}")
            try:
                fresh.append(Rule(**given, left=times))
            except TypeError as error:
                raise ValueError(str(error)) from None
        self.rules.extend(fresh)

    def forget(self) -> None:
        """Behave well again."""
        self.rules.clear()

    def now(self, on: str, order: str | None = None) -> Rule | None:
        """The rule that acts on this occasion, used up by one."""
        for rule in self.rules:
            if rule.on == on and rule.left != 0 and rule.order in (None, order):
                if rule.left is not None:
                    rule.left -= 1
                return rule
        return None
