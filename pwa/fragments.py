"""What one row of a visit's feed does to an open page: the HTML an SSE message carries.

``render_row`` draws the very macros the page itself is drawn with. A message never says "add": a row goes to
``#incoming`` and the page puts it, by id, into its list at the place of its rank, so a message seen twice, or after a
reconnect, leaves the page as a fresh GET would draw it (proved in ``tests/pwa/test_live.py``).

The desk listens to a named event instead: send ``event: refresh`` and its list asks for itself again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pwa.render import Renderer, renderer
from pwa.views import Line, PaymentNote, Row, Shares, Show, Step, StoryEntry, Sums, VisitState, Word
from words import live, money
from words.pages import Pages

__all__ = ["Show", "render_row", "status_line", "story_entry"]


def render_row(row: Mapping[str, Any], show: Show, draw: Renderer | None = None) -> str:
    """The HTML of one SSE message; "" when the row changes nothing on this page.

    Args:
        row: ``{"kind": "bill.line"|"step"|"visit"|"payment"|"word"|"soon"|"till", "data": {...}}``, perhaps ``"at"``
            (ISO or aware datetime); amounts in ``data["sums"]`` are already those of the viewer.
        show: for whom and on which page.
        draw: a renderer, the process's own by default.
    """
    draw = draw or renderer()
    makers: dict[str, Callable[[Row, Show, Renderer, Mapping[str, Any]], list[str]]] = {
        "bill.line": _line,
        "step": _step,
        "visit": _visit,
        "payment": _payment,
        "word": _word,
        "soon": _soon,
        "till": _till,
    }
    parts = makers[row["kind"]](row["data"], show, draw, row)
    return "".join(parts).replace("\n", "")


def _partial(target: str, html: str, swap: str = "outerHTML") -> str:
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{html.strip()}</hx-partial>'


def _macro(draw: Renderer, file: str, name: str, *args: object) -> str:
    macro = getattr(draw.env.get_template(file).module, name)
    return str(macro(*args))


def _incoming(html: str) -> str:
    return _partial("incoming", html, "innerHTML")


def _note(draw: Renderer, key: str, text: str) -> str:
    return _partial("note", draw.part("_live/note.html", key=key, text=text), "innerHTML")


def _money_parts(data: Row, show: Show, draw: Renderer) -> list[str]:
    if "sums" not in data or not show.money:
        return []
    sums = Sums.of(data["sums"])
    if show.surface == "bill":
        return [
            _partial("sums", _macro(draw, "_bill.html", "sums", sums, show)),
            _partial("paybar", _macro(draw, "_bill.html", "paybar", sums, show)),
        ]
    if show.surface == "story":
        return [
            _partial("story-sums", _macro(draw, "_story.html", "sums", sums)),
            _partial("paybar", _macro(draw, "_story.html", "paybar", sums, show)),
        ]
    return []


def _story(row: Mapping[str, Any], show: Show, draw: Renderer) -> list[str]:
    entry = story_entry(row, show)
    return [] if entry is None else [_incoming(_macro(draw, "_story.html", "entry", entry))]


def _line(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    if "line" not in data:  # somebody who only pays is told the total
        return _money_parts(data, show, draw)
    line = Line.of(data["line"])
    note = _note(draw, f"c{line.id}-{line.state}", live.line(line.name, line.amount_fen, line.pile, line.state))
    if show.surface == "bill":
        return [_incoming(_macro(draw, "_bill.html", "line", line, show)), *_money_parts(data, show, draw), note]
    if show.surface == "story":
        return [*_story(row, show, draw), *_money_parts(data, show, draw)]
    return [note] if show.money else []


def _step(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    step = Step.of(data["step"])
    note = _note(draw, f"s{step.id}-{step.state}", live.step(step.name, step.place, step.state))
    if show.surface == "guide":
        return [_incoming(_macro(draw, "_guide.html", "step", step, show)), note]
    if show.surface == "story":
        status = status_line(step)
        said = [_partial("status", _macro(draw, "_story.html", "status", status))] if status else []
        return [*_story(row, show, draw), *said]
    # On the bill and the pass only what asks the patient to move is said.
    return [note] if step.state in {"called", "result"} else []


def _visit(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    state = VisitState.of(data["visit"])
    if show.surface == "story":
        return _story(row, show, draw)
    note = _note(
        draw,
        f"v-{state.state}-{state.mode}",
        live.visit(state.state, money.when(state.due_at, show.now) if state.due_at else None),
    )
    if show.surface == "bill":
        return [_partial("visit", _macro(draw, "_bill.html", "visit", state, show)), note]
    return [note]


def _payment(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    payment = PaymentNote.of(data["payment"])
    if show.surface == "story":
        return [*_story(row, show, draw), *_money_parts(data, show, draw)]
    if show.surface == "pay":  # the page asks for itself again: only the server knows what its reader may do next
        said = Pages.bill.payment(payment.state, payment.amount_fen, payment.payer_label)
        return [_note(draw, f"p-{payment.state}-{payment.at}", said)]
    if show.surface == "bill":
        # The strip itself is a live region's neighbour; it is said once through #note.
        said = _note(
            draw,
            f"p-{payment.state}-{payment.at}",
            Pages.bill.payment(payment.state, payment.amount_fen, payment.payer_label),
        )
        return [
            _partial("payment", _macro(draw, "_bill.html", "payment", payment, show)),
            _partial("shares", _macro(draw, "_bill.html", "shares", Shares.of(data.get("round")), show)),
            *_money_parts(data, show, draw),
            said,
        ]
    return []


def _word(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    word = word_of(data["word"])
    said = f"{word.who}：{word.text}" if word.who else word.text
    note = _partial("note", draw.part("_live/note.html", key=f"w-{word.id}", text=said, aloud=True), "innerHTML")
    if show.surface == "story":
        return [_incoming(_macro(draw, "_story.html", "word", word)), note]
    return [note] if show.may_act else []


def _soon(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    soon = data["soon"]
    return [_note(draw, f"t{soon['id']}", live.soon(soon["name"], soon["place"], soon["minutes"], mine=show.may_act))]


def _till(data: Row, show: Show, draw: Renderer, row: Mapping[str, Any]) -> list[str]:
    # Why what was read does not serve is an alert on the page, which asks for itself again at any message.
    return [_incoming("")] if show.surface == "pay" else []


def word_of(data: Row) -> Word:
    """A sentence of a ``word`` feed row, as its reader reads it."""
    at = datetime.fromisoformat(data["at"])
    return Word(data["id"], data["rank"], at, data["who"] or "", data["text"])


def status_line(step: Step) -> str | None:
    """The companion's face-sized line after a step changed: 正在做：抽血 · 前面 2 人; None when it says nothing new."""
    if step.state not in {"checked_in", "called", "performed", "result"}:
        return None
    text = Pages.companion.events[step.state].format(name=step.name)
    if step.state == "checked_in" and step.ahead is not None:
        text += f" · {Pages.guide.ahead(step.ahead)}"
    return text


def story_entry(row: Mapping[str, Any], show: Show) -> StoryEntry | None:
    """One feed row as the companion reads it, or None when it tells them nothing (a planned charge, say).

    The page drawn afresh is the story entries of the visit's feed rows, newest first, one per id.
    """
    data, words = row["data"], Pages.companion
    if row["kind"] == "word":
        return None
    if row["kind"] == "step":
        step = Step.of(data["step"])
        at = step.at or _row_at(row, show)
        detail = None if step.state not in {"placed", "checked_in"} else step.place
        if step.state == "result" and step.result_flag:
            detail = Pages.guide.flags.get(step.result_flag)
        return _entry(f"s{step.id}-{step.state}", at, words.events[step.state].format(name=step.name), detail)
    if row["kind"] == "bill.line":
        if "line" not in data:
            return None
        line = Line.of(data["line"])
        if not show.money or line.pile == "ordered" or line.state not in {"billable", "reversed", "aborted"}:
            return None
        text = words.charged if line.pile == "done" else words.uncharged
        at = line.executed_at if line.pile == "done" and line.executed_at else _row_at(row, show)
        return _entry(f"c{line.id}-{line.state}", at, text.format(name=line.name), None, line.amount_fen)
    if row["kind"] == "payment":
        payment = PaymentNote.of(data["payment"])
        if not show.money:
            return None
        at = payment.at or _row_at(row, show)
        text = words.payments[payment.state].format(who=payment.payer_label)
        return _entry(f"p-{payment.state}-{int(at.timestamp())}", at, text, None, payment.amount_fen)
    state = VisitState.of(data["visit"])
    at = (state.ended_at if state.state == "ended" else None) or _row_at(row, show)
    return _entry(f"v-{state.state}", at, words.visits[state.state], None)


def _row_at(row: Mapping[str, Any], show: Show) -> datetime:
    at = row.get("at") or show.now
    return at if isinstance(at, datetime) else datetime.fromisoformat(at)


def _entry(entry_id: str, at: datetime, title: str, detail: str | None, amount: int | None = None) -> StoryEntry:
    return StoryEntry(entry_id, int(at.timestamp() * 1000), at, title, detail, amount)
