"""The messages leave the house: claimed in one short transaction, sent outside of any, recorded in another."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from kernel.db import Database
from kernel.outside import NotConfigured, OutsideError, Rejected, Throttled
from notices.ports import Lines, Truth, WebPush
from notices.rules.delivery import DeliveryState
from notices.rules.reach import Channel
from notices.service import recording, telling
from notices.service.recording import Outcome
from notices.service.telling import Call

D = DeliveryState
AT_ONCE = 8
GONE = "GONE"


async def run_due(db: Database, truth: Truth, lines: Lines) -> int:
    """Expand what happened, and send what is due. Returns how many messages were tried."""
    async with db.begin() as tx:
        await telling.expand(tx, truth)
    async with db.begin() as tx:
        calls = await telling.claim(tx, truth, lines)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(call: Call) -> None:
        async with places:
            await deliver(db, lines, call)

    await asyncio.gather(*(one(call) for call in calls))
    return len(calls)


async def deliver(db: Database, lines: Lines, call: Call) -> None:
    """Send one claimed message and record how that ended."""
    outcome = await _try(lines, call)
    async with db.begin() as tx:
        await recording.record(tx, call.notice_id, call.channel, outcome)


async def _try(lines: Lines, call: Call) -> Outcome:
    try:
        return await _call(lines, call)
    except Rejected as no:
        return Outcome(D.FAILED, trouble=no.reason)
    except (Throttled, NotConfigured) as later:
        return Outcome(D.QUEUED, trouble=later.code)
    except OutsideError as unknown:
        return Outcome(D.UNKNOWN, trouble=unknown.code)


async def _call(lines: Lines, call: Call) -> Outcome:
    message = call.message
    if call.channel is Channel.WECHAT and lines.wechat is not None:
        link = f"{lines.base_url}{message.path}"
        number = await lines.wechat.push(call.address, message.kind, message.fields, link, call.client_id)
        return Outcome(D.SENT, number=number)
    if call.channel is Channel.SMS and lines.sms is not None and message.kind in lines.sms_kinds:
        kind = lines.sms_kinds[message.kind]
        params = [message.fields[name] for name in kind.fields]
        receipt = await lines.sms.send(kind.template_id, call.address, params, call.client_id)
        return Outcome(D.SENT, number=receipt.serial_no)
    if call.channel is Channel.WEB_PUSH and lines.web_push is not None:
        return await _ring(lines.web_push, call)
    raise NotConfigured(call.channel)


async def _ring(line: WebPush, call: Call) -> Outcome:
    """Ring all browsers of the person; one that has it is enough, and those that are gone are dropped."""
    message = call.message
    title = f"{message.fields['hospital']} {message.title}".strip()
    payload = {"title": title, "body": message.body, "tag": call.client_id, "url": message.path}
    sent, gone, worst = False, [], Outcome(D.FAILED, trouble=GONE)
    for digest, browser in call.subscriptions.items():
        try:
            await line.push(browser, payload, call.client_id, call.ttl, call.urgent)
            sent = True
        except Rejected as no:
            if no.reason == GONE:
                gone.append(digest)
            else:
                worst = Outcome(D.FAILED, trouble=no.reason)
        except Throttled as later:
            worst = Outcome(D.QUEUED, trouble=later.code)
        except OutsideError as unknown:
            worst = Outcome(D.UNKNOWN, trouble=unknown.code)
    if sent:
        return Outcome(D.SENT, gone=tuple(gone))
    return Outcome(worst.state, trouble=worst.trouble, gone=tuple(gone))


async def ask_due(db: Database, lines: Lines) -> None:
    """Ask the gateway what became of text messages; callbacks only make it faster."""
    if lines.sms is None:
        return
    async with db.begin() as tx:
        questions = await recording.asking(tx)
    for question in questions:
        found: Sequence[tuple[str, bool, str]] = ()
        with suppress(OutsideError):
            reports = await lines.sms.reports(question.phone, question.since, question.until)
            mine = [r for r in reports if question.context == r.session_context or question.number == r.serial_no]
            found = [(r.serial_no, r.arrived, r.trouble) for r in mine]
        async with db.begin() as tx:
            await recording.still_asking(tx, question.notice_id, found)
