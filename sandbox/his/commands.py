"""What the hospital's system does when Houfu tells it something: each command once in effect, however often it arrives.

``take`` answers ``done`` or ``refused`` with one of these reasons: ``no_such_encounter``, ``no_such_order``,
``no_such_charge``, ``no_such_settlement``, ``performed``, ``amount_differs``, ``total_differs``, ``not_performed``,
``already_settled``, ``reversed``, ``no_appointment``, ``cancelled``, ``moved`` (to another window already), ``full``.
Houfu ought never to earn most of them; each such refusal is also a complaint.
"""

import json
from datetime import datetime, timedelta

from sandbox.his.books import Books, Encounter
from sandbox.his.wire import Command, Json

_HONEST = {
    "performed",
    "already_settled",
    "reversed",
    "cancelled",
    "moved",
    "full",
}  # can happen to a careful partner: the two raced


def take(books: Books, body: Json, *, full: bool = False) -> Json:
    """Do one command and answer it; a repeated key is answered as before and does nothing.

    Args:
        full: no other window is free, where one is asked for.

    Raises:
        pydantic.ValidationError: the body does not follow ``docs/his.md``.
    """
    command = Command.model_validate(body)
    if command.key in books.commands:
        before, answer = books.commands[command.key]
        if _meaning(before) != _meaning(body):
            books.complaints.append(f"key {command.key} came again with another meaning")
        return answer
    reason = _refusal(books, command) or ("full" if full and command.kind == "move" else None)
    answer = {"key": command.key, "outcome": "refused", "reason": reason} if reason else _done(command.key)
    if reason and reason not in _HONEST:
        books.complaints.append(f"{command.kind} {command.key} refused: {reason}")
    books.keep_command(body, answer)
    if reason is None and command.kind == "abandon":
        cancel(books, body["data"]["order_no"], reason="patient", by="Houfu")
    if reason is None and command.kind == "move":
        move(books, body["data"]["order_no"], body["data"].get("wanted_from"))
    return answer


def move(books: Books, order_no: str, wanted_from: str | None) -> None:
    """Give an examination the next window from then on, as long as its last; the order is said again with it."""
    enc = books.encounter(order_no)
    order = enc.orders[order_no]
    was = [datetime.fromisoformat(order["appointment"][end]) for end in ("from", "until")]
    begins = datetime.fromisoformat(wanted_from) if wanted_from else was[1] + timedelta(minutes=30)
    window = {"from": begins.isoformat(), "until": (begins + (was[1] - was[0])).isoformat()}
    books.record("order.placed", enc.no, order | {"appointment": window | {"at": books.now().isoformat()}})


def cancel(books: Books, order_no: str, reason: str, by: str) -> bool:
    """Cancel an order nobody has performed; False, and nothing happens, when it is cancelled already."""
    enc = books.encounter(order_no)
    if order_no in enc.cancelled:
        return False
    data = {"order_no": order_no, "by": by, "reason": reason, "at": books.now().isoformat()}
    books.record("order.cancelled", enc.no, data)
    return True


def _done(key: str) -> Json:
    return {"key": key, "outcome": "done"}


def _meaning(body: Json) -> str:
    return json.dumps({k: body[k] for k in ("kind", "encounters", "data")}, sort_keys=True)


def _refusal(books: Books, command: Command) -> str | None:
    if any(no not in books.encounters for no in command.encounters):
        return "no_such_encounter"
    match command.kind:
        case "abandon":
            return _abandon(books, command.data["order_no"])
        case "move":
            return _move(books, command.data)
        case "exclude":
            charge = command.data.get("charge_no")
            return "no_such_charge" if charge is not None and _of_charge(books, charge) is None else None
        case "post":
            return _post(books, command.data)
        case "settle":
            return _settle(books, command.data)
        case "refund":
            return _refund(books, command.data)
        case _:
            return None


def _of_charge(books: Books, charge_no: str) -> Encounter | None:
    enc = books.encounters.get(books.encounter_of.get(charge_no, ""))
    return enc if enc is not None and charge_no in enc.charges else None


def _abandon(books: Books, order_no: str) -> str | None:
    enc = books.encounters.get(books.encounter_of.get(order_no, ""))
    if enc is None or order_no not in enc.orders:
        return "no_such_order"
    return "performed" if books.is_performed(enc, order_no) else None


def _move(books: Books, data: Json) -> str | None:
    enc = books.encounters.get(books.encounter_of.get(data["order_no"], ""))
    order = enc.orders.get(data["order_no"]) if enc is not None else None
    if enc is None or order is None:
        return "no_such_order"
    if data["order_no"] in enc.cancelled:
        return "cancelled"
    if books.is_performed(enc, data["order_no"]):
        return "performed"
    if order.get("appointment") is None:
        return "no_appointment"
    same = all(datetime.fromisoformat(order["appointment"][end]) == datetime.fromisoformat(data[end])
               for end in ("from", "until"))  # fmt: skip
    return None if same else "moved"


def _post(books: Books, data: Json) -> str | None:
    for line in data["charges"]:
        enc = _of_charge(books, line["charge_no"])
        if enc is None:
            return "no_such_charge"
        if enc.charges[line["charge_no"]]["amount_fen"] != line["amount_fen"]:
            return "amount_differs"
    return None


def _settle(books: Books, data: Json) -> str | None:
    if data["settlement_no"] in books.settlements:
        same = books.settlements[data["settlement_no"]]["charges"] == data["charges"]
        return None if same else "already_settled"
    if sum(line["self_fen"] for line in data["charges"]) != data["total_fen"]:
        return "total_differs"
    if sum(payment["amount_fen"] for payment in data["payments"]) < data["total_fen"]:
        return "total_differs"
    if len({line["charge_no"] for line in data["charges"]}) < len(data["charges"]):
        return "already_settled"
    reasons = [_unpayable(books, line) for line in data["charges"]]
    return next((r for r in reasons if r is not None), None)


def _unpayable(books: Books, line: Json) -> str | None:
    """Why this line cannot be paid; the patient may pay the personal account's part in cash, never the fund's.

    Where the insurance has settled, its split counts and the estimate no more.
    """
    charge_no, self_fen = line["charge_no"], line["self_fen"]
    enc = _of_charge(books, charge_no)
    if enc is None:
        return "no_such_charge"
    if charge_no in books.settled or charge_no in enc.at_window:
        return "already_settled"
    if charge_no in enc.reversed:
        return "reversed"
    if charge_no not in enc.executed and not _pays_first(enc, charge_no):
        return "not_performed"
    charge = enc.charges[charge_no]
    if "fund_fen" in line:
        parts = self_fen + sum(line[part] for part in ("fund_fen", "account_fen", "other_fen", "hospital_fen"))
        return None if parts == charge["amount_fen"] else "amount_differs"
    split = charge["split"]
    fits = split["self_fen"] <= self_fen <= charge["amount_fen"] - split["fund_fen"]
    return None if fits else "amount_differs"


def _pays_first(enc: Encounter, charge_no: str) -> bool:
    """Whether this line is paid before it is done."""
    return enc.mode == "UPFRONT" or enc.excluded_all or charge_no in enc.excluded


def _refund(books: Books, data: Json) -> str | None:
    if data["refund_no"] in books.refunds:
        return None
    settlement = books.settlements.get(data["settlement_no"])
    if settlement is None:
        return "no_such_settlement"
    paid = {line["charge_no"]: line["self_fen"] for line in settlement["charges"]}
    if sum(line["self_fen"] for line in data["charges"]) != data["total_fen"]:
        return "total_differs"
    if any(part not in settlement["insurance"] for part in data.get("insurance", [])):
        return "amount_differs"
    for line in data["charges"]:
        if books.settled.get(line["charge_no"]) != data["settlement_no"]:
            return "no_such_charge"
        if line["self_fen"] > paid[line["charge_no"]]:
            return "amount_differs"
    return None
