"""The hospital's system as a server: Houfu's commands and questions on one side, the stage's buttons on the other.

``/houfu/…`` follows ``docs/his.md`` and is signed; ``/control/…`` is for people at the stage and for tests, unsigned,
loopback only. Every control answer is JSON; an unknown number is 404, an impossible act 409 ``{"error"}``.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import httpx
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kernel.clock import wall_clock
from sandbox.his import cashbook, commands, wire
from sandbox.his import catalogue as catalogues
from sandbox.his.appointments import Appointments
from sandbox.his.behave import Behaviour, Fault
from sandbox.his.books import Books
from sandbox.his.clinic import Clinic, NotPossibleError
from sandbox.his.noise import Noise
from sandbox.his.player import Player
from sandbox.his.sender import Sender
from sandbox.his.wire import Json, Key

_STAGE = r"https?://([a-z0-9-]+\.)*(houfu\.)?localhost(:\d+)?"

_ACTS = {"order", "charge", "call", "result", "cancel", "reverse", "pay_at_window", "exclude", "finish", "tell_all"}

_APPOINTS = {"arrive", "miss", "requeue", "move", "call_off"}


class His:
    """One hospital's system, assembled.

    Args:
        houfu_url: where to send events.
        inbound: the key we sign events with (Houfu's ``inbound_keys``).
        outbound: the keys Houfu may sign commands with.
        journal: file that survives a restart, or None.
        now: the clock of what happens in the hospital; may be simulated.
        signing_now: the clock of signatures when that differs (a simulated day against a Houfu on real time).
    """

    def __init__(
        self,
        houfu_url: str,
        inbound: Key,
        outbound: Sequence[Key],
        *,
        journal: Path | None = None,
        now: wire.Now = wall_clock,
        signing_now: wire.Now | None = None,
        catalogue: catalogues.Catalogue | None = None,
        noise: Noise | None = None,
    ) -> None:
        self.catalogue = catalogue or catalogues.load()
        self.now, self.signing_now = now, signing_now or now
        self.books = Books(self.catalogue.code, now, journal)
        self.clinic = Clinic(self.books, self.catalogue)
        self.player = Player(self.clinic)
        self.behaviour = Behaviour()
        self.strangers = 0  # calls whose signature did not hold
        self.appointments = Appointments(self.clinic, self.behaviour)
        self.outbound = {k.id: k for k in outbound}
        self._client = httpx.AsyncClient(trust_env=False)
        self.sender = Sender(
            self.books,
            self._client,
            houfu_url,
            inbound,
            behaviour=self.behaviour,
            noise=noise,
            signing_now=self.signing_now,
        )

    async def close(self) -> None:
        """Stop what plays, let go of connections and the journal."""
        await self.player.close()
        await self._client.aclose()
        self.books.close()


class _Houfu:
    """The signed side."""

    def __init__(self, his: His) -> None:
        self.his = his

    def routes(self) -> list[Route]:
        return [
            Route("/houfu/commands", self.commands, methods=["POST"]),
            Route("/houfu/encounters/{no}/snapshot", self.snapshot),
            Route("/houfu/encounters/{no}/insurance", self.insurance),
            Route("/houfu/slots", self.slots),
            Route("/houfu/settlements", self.settlements),
        ]

    def _signed(self, request: Request, body: bytes) -> bool:
        signed = wire.is_signed(request.headers, body, self.his.outbound, self.his.signing_now())
        self.his.strangers += not signed
        return signed

    def _fault(self, name: str, kinds: Sequence[str]) -> Fault | None:
        """The fault, if it is on and meant for one of the kinds of command in a request (none: a question)."""
        among: Sequence[str | None] = kinds or [None]
        asked = (self.his.behaviour.take(name, kind) for kind in among)
        return next((fault for fault in asked if fault), None)

    async def _ill(self, kinds: Sequence[str] = ()) -> Response | None:
        """Be down, silent or slow when told to."""
        if self._fault("down", kinds):
            return JSONResponse({"error": "down"}, 503)
        if fault := self._fault("silent", kinds):
            await asyncio.sleep(fault.seconds)
            return JSONResponse({"error": "silent"}, 503)
        if fault := self._fault("slow", kinds):
            await asyncio.sleep(fault.seconds)
        return None

    async def commands(self, request: Request) -> Response:
        body = await request.body()
        if not self._signed(request, body):
            return JSONResponse({"error": "signature"}, 401)
        try:
            asked: list[Json] = json.loads(body)
            kinds = [command.kind for command in wire.COMMANDS.validate_python(asked)]
        except (ValueError, ValidationError) as error:
            self.his.books.complaints.append(f"commands that are none: {type(error).__name__}")
            return JSONResponse({"error": "form"}, 422)
        if (ill := await self._ill(kinds)) is not None:
            return ill
        return await self._answer(kinds, [self._take(command) for command in asked])

    def _take(self, command: Json) -> Json:
        if command["kind"] == "abandon" and self.his.behaviour.take("refuse_abandon", "abandon"):
            with contextlib.suppress(NotPossibleError, KeyError):
                self.his.clinic.confirm(command["data"]["order_no"])
        if command["kind"] in wire.BOOKING_KINDS:
            return self.his.appointments.take(command)
        full = command["kind"] == "move" and self.his.behaviour.take("refuse_move", "move") is not None
        return commands.take(self.his.books, command, full=full)

    async def _answer(self, kinds: Sequence[str], answers: Sequence[Json]) -> Response:
        if fault := self._fault("late", kinds):
            await asyncio.sleep(fault.seconds)
        if self._fault("500_after", kinds):
            return JSONResponse({"error": "after"}, 500)
        if self._fault("garbage", kinds):
            return Response("<html>系统维护中</html>", media_type="text/html")
        if self._fault("other_key", kinds):
            return JSONResponse({"items": [answers[0] | {"key": "other"}, *answers[1:]]})
        return JSONResponse({"items": answers})

    async def _question(self, request: Request) -> Response | None:
        path: bytes = request.scope["raw_path"]
        query: bytes = request.scope["query_string"]
        if not self._signed(request, path + b"?" + query if query else path):
            return JSONResponse({"error": "signature"}, 401)
        return await self._ill()

    async def snapshot(self, request: Request) -> Response:
        if (no := await self._question(request)) is not None:
            return no
        if request.path_params["no"] not in self.his.books.encounters:
            return JSONResponse({"error": "no_such_encounter"}, 404)
        return JSONResponse(self.his.books.snapshot(request.path_params["no"]))

    async def insurance(self, request: Request) -> Response:
        """Question: what the insurance has to be told of one encounter."""
        if (no := await self._question(request)) is not None:
            return no
        facts = self.his.books.insurance(request.path_params["no"])
        return JSONResponse(facts) if facts is not None else JSONResponse({"error": "not_insured"}, 404)

    async def slots(self, request: Request) -> Response:
        if (no := await self._question(request)) is not None:
            return no
        try:
            day = date.fromisoformat(request.query_params["day"])
            department = self.his.catalogue.departments[request.query_params["department"]].code
        except (KeyError, ValueError):
            return JSONResponse({"error": "no_such_department_or_day"}, 404)
        return JSONResponse({"slots": self.his.appointments.slots(department, day)})

    async def settlements(self, request: Request) -> Response:
        if (no := await self._question(request)) is not None:
            return no
        behaviour, books = self.his.behaviour, self.his.books
        if behaviour.take("no_list"):
            return JSONResponse({"error": "not found"}, 404)
        try:
            day = date.fromisoformat(request.query_params["day"])
            lines = cashbook.listed(books, day)
            for how in ("missing", "extra", "differing", "insured", "uninsured"):
                if behaviour.take(f"row_{how}", str(day)):
                    lines = cashbook.spoilt(lines, how, f"{day}T12:00:00+08:00")
            return JSONResponse(cashbook.page(lines, request.query_params.get("after")))
        except (KeyError, ValueError):
            return JSONResponse({"error": "day"}, 422)


class _Control:
    """The stage's buttons; a body is a JSON object, absent means empty."""

    def __init__(self, his: His) -> None:
        self.his = his

    def routes(self) -> list[Route]:
        post = ["POST"]
        return [
            Route("/control/scripts", self.scripts),
            Route("/control/scripts/{name}/start", self.start, methods=post),
            Route("/control/visits", self.visits),
            Route("/control/visits/{id}", self.visit),
            Route("/control/visits/{id}/{what}", self.drive, methods=post),
            Route("/control/books", self.books),
            Route("/control/bill/{no}", self.bill),
            Route("/control/behave", self.behave, methods=["GET", "POST", "DELETE"]),
            Route("/control/act/{what}", self.act, methods=post),
            Route("/control/confirm", self.confirm, methods=post),
            Route("/control/appointments", self.appointments),
            Route("/control/appointments/{what}", self.appoint, methods=post),
        ]

    async def scripts(self, request: Request) -> Response:
        return JSONResponse({"scripts": self.his.player.scripts()})

    async def start(self, request: Request) -> Response:
        """``{patient?}``: begin a script; with ``{speed}`` it plays by itself at once."""
        body = await _body(request)
        run = self.his.player.start(request.path_params["name"], body.get("patient"))
        if "speed" in body:
            self.his.player.play(run, _speed(body))
        return JSONResponse(self.his.player.show(run), 201)

    async def visits(self, request: Request) -> Response:
        return JSONResponse({"visits": [self.his.player.show(r) for r in self.his.player.runs.values()]})

    async def visit(self, request: Request) -> Response:
        return JSONResponse(self.his.player.show(self.his.player.runs[request.path_params["id"]]))

    async def drive(self, request: Request) -> Response:
        """``step`` {}, ``play`` {speed: hospital minutes per minute}, ``pause`` {}."""
        run, player = self.his.player.runs[request.path_params["id"]], self.his.player
        match request.path_params["what"]:
            case "step":
                return JSONResponse(player.step(run) | {"visit": player.show(run)})
            case "play":
                player.play(run, _speed(await _body(request)))
            case "pause":
                player.pause(run)
            case what:
                raise KeyError(what)
        return JSONResponse(player.show(run))

    async def books(self, request: Request) -> Response:
        books = self.his.books
        return JSONResponse(
            {
                "encounters": [self._line(no) for no in books.encounters],
                "waiting": len(books.outbox),
                "answers": Counter(a["status"] for a in books.answers.values()),
                "rejected": [a for a in books.answers.values() if a["status"] == "rejected"],
                "commands": [{"command": c, "answer": a} for c, a in books.commands.values()],
                "settlements": list(books.settlements.values()),
                "refunds": list(books.refunds.values()),
                "complaints": books.complaints,
            }
        )

    def _line(self, no: str) -> Json:
        enc, bill = self.his.books.encounters[no], self.his.books.right_bill(no)
        return {
            "encounter": no,
            "patient": enc.started["patient"],
            "mode": enc.mode,
            "finished_at": enc.finished_at,
            "total_fen": bill.total_fen,
            "self_fen": bill.self_total_fen,
            "orders": [
                {"order_no": o, "name": d["name"], "done": o in enc.performed_orders, "cancelled": o in enc.cancelled}
                for o, d in enc.orders.items()
            ],
        }

    async def bill(self, request: Request) -> Response:
        bill = self.his.books.right_bill(request.path_params["no"])
        return JSONResponse(asdict(bill) | {"total_fen": bill.total_fen, "self_total_fen": bill.self_total_fen})

    async def behave(self, request: Request) -> Response:
        """POST ``{name, times?, seconds?, kinds?}`` switches a fault on, DELETE ``{name?}`` off, GET shows."""
        if request.method == "POST":
            self.his.behaviour.be(**await _body(request))
        elif request.method == "DELETE":
            self.his.behaviour.good((await _body(request)).get("name"))
        return JSONResponse({"on": self.his.behaviour.show()})

    async def confirm(self, request: Request) -> Response:
        """``{order_no, by?}``: the department's own 已做完 button."""
        body = await _body(request)
        return JSONResponse({"execution_no": self.his.clinic.confirm(body["order_no"], body.get("by"))})

    async def appointments(self, request: Request) -> Response:
        """Every booking as the books have it."""
        return JSONResponse({"appointments": self.his.books.appointments})

    async def appoint(self, request: Request) -> Response:
        """``arrive``, ``miss``, ``requeue`` {booking}; ``move`` {booking, slot}; ``call_off`` {doctor, day}."""
        what = request.path_params["what"]
        if what not in _APPOINTS:
            raise KeyError(what)
        return JSONResponse({"result": getattr(self.his.appointments, what)(**await _body(request))})

    async def act(self, request: Request) -> Response:
        """Any method of ``Clinic`` by name with its arguments; ``register`` takes a patient number or people key."""
        body, what, clinic = await _body(request), request.path_params["what"], self.his.clinic
        if what == "register":
            cards = self.his.catalogue.by_key | self.his.catalogue.patients
            body["patient"] = cards[body["patient"]]
        elif what not in _ACTS:
            raise KeyError(what)
        return JSONResponse({"result": getattr(clinic, what)(**body)})


async def _body(request: Request) -> Json:
    raw = await request.body()
    body = json.loads(raw) if raw else {}
    if not isinstance(body, dict):
        raise ValueError("a JSON object is wanted")
    return body


def _speed(body: Json) -> float:
    speed = float(body.get("speed", 60))
    if not 0 < speed <= 100_000:
        raise ValueError("speed is between 0 and 100000")
    return speed


async def _absent(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"not found: {error}"}, 404)


async def _impossible(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409)


async def _malformed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


def create_app(his: His, *, send: bool = True) -> Starlette:
    """The ASGI app; while it lives it also sends (``send=False``: somebody else drives ``his.sender``)."""

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(his.sender.run(), name="his-sender") if send else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await his.close()

    return Starlette(
        routes=[*_Houfu(his).routes(), *_Control(his).routes()],
        middleware=[Middleware(CORSMiddleware, allow_origin_regex=_STAGE, allow_methods=["*"], allow_headers=["*"])],
        exception_handlers={
            KeyError: _absent,
            NotPossibleError: _impossible,
            ValueError: _malformed,
            TypeError: _malformed,
        },
        lifespan=life,
    )
