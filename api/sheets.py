"""The guide sheet for programs that print it themselves."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from guide.service.sheets import GuideSheet, SheetStep, Way


class WayOut(BaseModel):
    """How one gets there from the step before, in sentences."""

    lines: list[str]
    about: Annotated[str, Field(description="how long one walks, as a range")]


class SheetStepOut(BaseModel):
    """One thing to do. ``code`` is drawn as a QR beside it: it checks in, and shows nothing without a session."""

    order_id: UUID
    number: str
    code: str
    name: str
    place: str
    state: str
    ready: list[str]
    because: str | None
    way: WayOut | None
    discreet: Annotated[bool, Field(description="called by its kind alone, for a paper others may read")]

    @classmethod
    def of(cls, step: SheetStep, address: Callable[[str], str]) -> "SheetStepOut":
        """From the service's step."""
        return cls(
            order_id=UUID(step.order_id),
            number=step.number,
            code=address(step.paper_code),
            name=step.name,
            place=step.place,
            state=step.state,
            ready=list(step.ready),
            because=step.because,
            way=_way(step.way),
            discreet=step.discreet,
        )


class BackOut(BaseModel):
    """Where one returns to with the results."""

    name: str
    place: str
    way: WayOut | None


class SheetOut(BaseModel):
    """One patient's day on paper; ``patient`` is masked, ``kept`` the pass for the day."""

    hospital: str
    phone: str
    patient: str
    number: str
    kept: str
    printed_at: datetime
    department: str | None
    steps: list[SheetStepOut]
    back: BackOut | None
    map_version: int | None
    note: str | None
    sensitive: Annotated[bool, Field(description="something on it is of a sensitive category")]

    @classmethod
    def of(cls, sheet: GuideSheet, kept: str, address: Callable[[str], str]) -> "SheetOut":
        """From the service's sheet.

        Args:
            address: what the QR of an order's code says.
        """
        back = sheet.back
        return cls(
            hospital=sheet.hospital,
            phone=sheet.phone,
            patient=sheet.patient,
            number=sheet.number,
            kept=kept,
            printed_at=sheet.printed_at,
            department=sheet.department,
            steps=[SheetStepOut.of(step, address) for step in sheet.steps],
            back=BackOut(name=back[0], place=back[1], way=_way(sheet.back_way)) if back else None,
            map_version=sheet.map_number,
            note=sheet.note,
            sensitive=sheet.sensitive,
        )


def _way(way: Way | None) -> WayOut | None:
    return None if way is None else WayOut(lines=list(way.lines), about=way.about)
