"""The file that sets up a hospital: what it may say, and what must fit together before any of it is believed.

Format: ``docs/hospital-file.md``. Nothing here touches the database.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kernel.errors import HoufuError
from people.rules import Creditor, MissedCall, Role

Text = Annotated[str, Field(min_length=1, max_length=200)]
Code = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9._-]+$")]
Positive = Annotated[int, Field(ge=1)]
Category = Literal["gynaecology", "psychiatry", "infection"]


class HospitalFileError(HoufuError):
    """The file cannot be loaded; nothing was. The message names the first wrong row."""

    code = "hospital_file"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where=where, why=why)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Care(_Part):
    """What the hospital does for the old and the unwell."""

    elder_mode: bool = True
    elder_age: Positive = 70
    read_aloud: bool = True
    step_free_routes: bool = True
    printed_sheet: bool = True
    wheelchair_desk: Code | None = None


class SettingsPart(_Part):
    """``hospital.settings``; the defaults are the product's."""

    due_hours: Positive = 24
    fallback_end_hours: Positive = 12
    read_chars_per_second: Positive = 5
    read_chars_per_second_elder: Positive = 3
    read_seconds_min: Annotated[int, Field(ge=0)] = 10
    registration_free_days: Annotated[int, Field(ge=0)] = 3
    registration_upfront: bool = False
    booking_days_ahead: Annotated[int, Field(ge=0, le=60)] = 7
    booking_most_open: Positive = 3
    booking_cancel_hours: Annotated[int, Field(ge=0, le=168)] = 2
    booking_pay_minutes: Positive = 30
    missed_call: MissedCall = MissedCall.REPORT
    missed_call_behind: Annotated[int, Field(ge=0, le=50)] = 3
    minimum_age: Annotated[int, Field(ge=0, le=18)] = 14
    zero_threshold: bool = False
    call_after_days: Positive = 7
    suspend_after_days: Positive = 30
    pass_refresh_seconds: Positive = 20
    caller_code_digits: Annotated[int, Field(ge=4, le=8)] = 4
    dispute_answer_hours: Positive = 8
    countersign: bool = False
    creditor: Creditor = Creditor.HOSPITAL
    companion_hidden_categories: tuple[Category, ...] = ("gynaecology", "psychiatry", "infection")
    care: Care = Care()
    insurance: dict[str, Any] = {}


class HospitalPart(_Part):
    """``hospital``: names and addresses as people say them."""

    code: Code
    name: Text
    short_name: Text
    level: Text
    city: Text
    province: Text
    address: Text
    phone: Text
    helpline: Text
    settings: SettingsPart = SettingsPart()


class KeyPart(_Part):
    """A key for talking with the HIS; ``generate`` as the secret makes one at the first loading."""

    id: Code
    secret: Annotated[str, Field(min_length=8, max_length=200)] = Field(repr=False)


class HisPart(_Part):
    """``his``: where the HIS is and which keys are valid."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    inbound_keys: Annotated[tuple[KeyPart, ...], Field(min_length=1, max_length=2)]
    outbound_key: KeyPart


class DepartmentPart(_Part):
    """A row of ``departments``."""

    code: Code
    name: Text
    kind: Literal["consulting", "lab", "imaging", "treatment", "pharmacy", "counter"]
    building: Text
    floor: int
    room: Text
    place: Text
    sensitive: Category | None


class DeskPart(_Part):
    """A row of ``desks``."""

    code: Code
    department: Code
    name: Text


class StaffPart(_Part):
    """A row of ``staff``."""

    login: Code
    name: Text
    role: Role
    department: Code | None
    pin: Annotated[str, Field(pattern=r"^[0-9]{6,12}$")] | None = Field(None, repr=False)


class TerminalPart(_Part):
    """A row of ``terminals``: a machine that reads codes, and the secret it signs with (``docs/terminals.md``)."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    kind: Literal["scanner", "kiosk", "face"]
    place: Text
    secret: Annotated[str, Field(min_length=8, max_length=200)] = Field(repr=False)


class PricePart(_Part):
    """A row of ``price_list``."""

    item_code: Code
    name: Text
    unit: Text
    unit_price_fen: Annotated[int, Field(ge=0)]
    insurance_class: Literal["A", "B", "C"]
    department: Code | None
    kind: Text


class ItemPart(_Part):
    """One priced item of an order template."""

    item_code: Code
    quantity: Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$")]


class TemplatePart(_Part):
    """A row of ``order_templates``."""

    code: Code
    name: Text
    kind: Literal["registration", "consultation", "lab", "imaging", "procedure", "medication"]
    department: Code | None
    items: tuple[ItemPart, ...]
    preparation: tuple[Text, ...]
    minutes: Annotated[int, Field(ge=0)]
    report_minutes: Annotated[int, Field(ge=0)] | None
    note: str | None


class SlotPart(_Part):
    """A row of ``slots``."""

    department: Code
    doctor: Code
    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...]
    spans: tuple[tuple[str, str], ...]
    minutes: Positive
    capacity: Positive


class HospitalFile(_Part):
    """The whole file."""

    format: Literal["houfu-hospital/1"]
    hospital: HospitalPart
    his: HisPart
    departments: tuple[DepartmentPart, ...]
    desks: tuple[DeskPart, ...] = ()
    staff: tuple[StaffPart, ...] = ()
    terminals: tuple[TerminalPart, ...] = ()
    price_list: tuple[PricePart, ...] = ()
    order_templates: tuple[TemplatePart, ...] = ()
    slots: tuple[SlotPart, ...] = ()


def parse(document: Mapping[str, Any]) -> HospitalFile:
    """Read a hospital file.

    Raises:
        HospitalFileError: a field is unknown, missing or of the wrong form, a code is doubled or leads nowhere; the
            first wrong place is named.
    """
    try:
        file = HospitalFile.model_validate(document)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        raise HospitalFileError(".".join(str(p) for p in first["loc"]) or "file", first["msg"]) from None
    departments = _unique("departments", "code", (d.code for d in file.departments))
    _unique("desks", "code", (d.code for d in file.desks))
    logins = _unique("staff", "login", (s.login for s in file.staff))
    _unique("terminals", "id", (t.id for t in file.terminals))
    prices = _unique("price_list", "item_code", (p.item_code for p in file.price_list))
    _unique("order_templates", "code", (t.code for t in file.order_templates))
    _unique("his", "key id", (k.id for k in (*file.his.inbound_keys, file.his.outbound_key)))
    for table in ("desks", "staff", "price_list", "order_templates", "slots"):
        _resolve(table, "department", (row.department for row in getattr(file, table)), departments)
    _resolve("slots", "doctor", (s.doctor for s in file.slots), logins)
    for number, template in enumerate(file.order_templates):
        _resolve(f"order_templates.{number}.items", "item_code", (i.item_code for i in template.items), prices)
    _resolve(
        "hospital.settings.care",
        "wheelchair_desk",
        [file.hospital.settings.care.wheelchair_desk],
        {d.code for d in file.desks},
    )
    return file


def _unique(table: str, name: str, codes: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    for number, code in enumerate(codes):
        if code in seen:
            raise HospitalFileError(f"{table}.{number}.{name}", f"{code!r} is there twice")
        seen.add(code)
    return seen


def _resolve(table: str, name: str, codes: Iterable[str | None], known: set[str]) -> None:
    for number, code in enumerate(codes):
        if code is not None and code not in known:
            raise HospitalFileError(f"{table}.{number}.{name}", f"{code!r} does not exist")
