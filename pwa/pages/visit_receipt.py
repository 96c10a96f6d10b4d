"""One receipt for a whole visit, however many people paid it, in however many rounds; on the page and on paper."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import AnyCaller, TxDep, WorldDep
from api.world import World
from billing.service.lines import bill_of
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.service import labels, receipts
from payments.service.attempts import Attempt
from payments.service.receipts import Merged
from people.rules import Actor, Audience
from pwa.answer import show
from pwa.pay_views import MergedPayment, MergedReceipt, PayPart, Returned
from pwa.receipt import Paper, merged_pdf
from pwa.rows import Line
from pwa.urls import Urls
from pwa.visit_pages import Seen, seen

router = APIRouter(include_in_schema=False)


async def _view(world: World, tx: Tx, caller: Actor, visit_id: UUID) -> MergedReceipt:
    """For the patient's side, staff, and who may pay: to a payer only what the payer may see of the bill.

    Raises:
        NotFoundError: nothing was paid here, or none of it is this caller's to see.
    """
    found = await seen(world, tx, caller, visit_id, "receipt")
    view = found.view
    paid = await receipts.of_visit(tx, visit_id) if view.owner or view.staff or view.pays else None
    if paid is None:
        raise NotFoundError
    known = all(view.shows(Audience.BILL, c.category) for c in paid.lines)
    cash = sum(a.amount_fen for a in paid.payments)
    return MergedReceipt(
        visit=found.head,
        paid_fen=cash,
        parts=_borne(paid) if known and not paid.anew else (),
        payments=[await _payment(tx, caller, found, a) for a in paid.payments],
        lines=await _lines(tx, found, paid) if known else (),
        paid_at=paid.paid_at,
        number=f"RV{china_day(paid.paid_at):%Y%m%d}-{visit_id.hex[-8:].upper()}-{len(paid.payments)}",
        settling=paid.settling,
        waits=paid.waits,
        anew=paid.anew,
        returned=[Returned(r.amount_fen, r.done_at or r.created_at, r.done_at is not None) for r in paid.refunds],
        pdf_url=f"{Urls.visit_receipt(str(visit_id))}.pdf",
    )


def _borne(paid: Merged) -> Sequence[PayPart]:
    lines = paid.lines
    sources = {
        "fund": sum(c.fund_fen for c in lines),
        "account": sum(c.account_fen for c in lines) - paid.mutual_aid_fen,
        "mutual_aid": paid.mutual_aid_fen,
        "other": sum(c.other_fen for c in lines),
        "hospital": sum(c.hospital_fen for c in lines),
    }
    return [PayPart(source, fen) for source, fen in sources.items() if fen]


async def _payment(tx: Tx, caller: Actor, found: Seen, attempt: Attempt) -> MergedPayment:
    mine = attempt.actor == caller.viewer
    own = mine or found.view.owner or found.view.staff
    at = attempt.paid_at or attempt.created_at
    return MergedPayment(
        label=await labels.label_for(tx, caller, attempt),
        way=attempt.channel,
        amount_fen=attempt.amount_fen,
        at=at,
        number=f"R{china_day(at):%Y%m%d}-{attempt.out_trade_no[-8:]}",
        transaction=(attempt.transaction_id or "") if own else "",
        url=Urls.receipt(str(attempt.id)) if own else None,
    )


async def _lines(tx: Tx, found: Seen, paid: Merged) -> Sequence[Line]:
    rows = {row["id"]: row for row in (await bill_of(tx, found.visit, found.view))["lines"]}
    return [Line.of(rows[str(c.id)]) for c in paid.lines]


@router.get("/visits/{visit_id}/receipt")
async def receipt(request: Request, visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> Response:
    """Who paid what, from where, for which items."""
    return await show(request, tx, "receipt_visit.html", await _view(world, tx, caller, visit_id))


@router.get("/visits/{visit_id}/receipt.pdf")
async def receipt_paper(
    visit_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep, paper: Paper = Paper.A5
) -> Response:
    """The same on paper: A5, or a roll of the counter's printer."""
    view = await _view(world, tx, caller, visit_id)
    pdf = await asyncio.to_thread(merged_pdf, view, paper)
    headers = {"Content-Disposition": f'inline; filename="{view.number}.pdf"', "Cache-Control": "private, no-store"}
    return Response(pdf, media_type="application/pdf", headers=headers)
