"""The rehearsal's evening at the finance department: it has Houfu compare the day's books, and reads what differs."""

import asyncio
from collections.abc import Sequence
from datetime import date

import httpx

from sandbox.rehearsal.money import Purse
from sandbox.rehearsal.verdict import Json, Verdict


async def compare_books(
    client: httpx.AsyncClient, finance: Json, purse: Purse, days: Sequence[date], verdict: Verdict, tries: int
) -> None:
    """Log in as finance, compare each day through the real door, and add up what is open.

    What was at the till before the rehearsal began is none of its business.

    Args:
        tries: how often it is compared, with a pause between, while something is open: after bad weather a line may
            rest for a while.
    """
    headers = await _log_in(client, finance)
    await purse.close_the_day()
    found, others = Verdict(), purse.others | purse.others_paid
    try:
        for last in [False] * (tries - 1) + [True]:
            found = Verdict()
            judge_books(await _compared(client, headers, days), others, purse.payments, found)
            if last or not found.notes:
                break
            await asyncio.sleep(5)
    finally:
        await purse.behave()
    verdict.reconcile_difference_fen = found.reconcile_difference_fen
    verdict.his_mismatch += found.his_mismatch
    for text in found.notes:
        verdict.note(text)


async def open_before(client: httpx.AsyncClient, finance: Json, purse: Purse, days: Sequence[date]) -> set[str]:
    """Numbers of what differs before the rehearsal begins: an earlier one's hospital has taken its books with it."""
    headers = await _log_in(client, finance)
    await purse.close_the_day()
    try:
        lines = [line for book in await _compared(client, headers, days) for line in book["lines"]]
    finally:
        await purse.behave()
    return {number for line in lines if line["state"] == "open" for number in (line["number"], line["payment"])}


async def _log_in(client: httpx.AsyncClient, finance: Json) -> dict[str, str]:
    login = await client.post("/api/session/staff", json=finance)
    return {"Authorization": f"Bearer {login.raise_for_status().json()['token']}"}


async def _compared(client: httpx.AsyncClient, headers: dict[str, str], days: Sequence[date]) -> list[Json]:
    doors = [f"/api/desk/books/{day}" for day in days]
    for door in doors:
        (await client.post(door, headers=headers, timeout=60)).raise_for_status()
    # Read when all are compared: a later day may explain an earlier one.
    return [(await client.get(door, headers=headers)).raise_for_status().json() for door in doors]


def judge_books(books: Sequence[Json], others: set[str], payments: int, verdict: Verdict) -> None:
    """All sides must have been there, with at least the payments that were made, and nothing may be open.

    Args:
        others: numbers, ours and the till's, of payments that are not of this rehearsal.
    """
    off, compared = 0, 0
    for book in books:
        lacking = [f"{side} is {state}" for side, state in book["sides"].items() if state != "there"]
        verdict.wrong_his(f"the books of {book['day']} were not compared: {what}" for what in lacking)
        compared += book["totals"].get("provider", {}).get("count", 0)
        for line in book["lines"]:
            names = {line["number"], line["payment"], *line["reference"].split(",")}
            if line["state"] == "open" and not names & others:
                off += line["amount_fen"]
                verdict.note(f"books of {book['day']}: {line}")
    if compared < payments:
        verdict.wrong_his([f"{payments} payments were made, and the books compared only {compared} lines"])
    verdict.reconcile_difference_fen = off
