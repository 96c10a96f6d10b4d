"""The scripted visits of the demo: who comes, what happens in which order, and how long it takes.

Each script is data. A step has a caption (``words.his_scenes``), the minutes that pass before it, and acts:

| act | arguments |
|---|---|
| ``register`` | department, ``emergency`` optional |
| ``order`` | name within the script, template code of the hospital file |
| ``call`` | name, people ahead, and the room when called |
| ``confirm`` | name |
| ``result`` | name, flag, key in ``words.his_scenes.REPORTS`` |
| ``identify`` | – : say who the unknown patient is |
| ``pay`` | names to pay at the window; none: everything open |
| ``finish`` | – |

One order of the first script is placed and never done: it must never become payable. A step that waits for the mark
happens once Houfu has told the hospital that the visit is paid afterwards: whoever has not signed yet signs now.
"""

from dataclasses import dataclass
from typing import Any

Act = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing a bystander would notice; ``minutes`` of hospital time pass before it, and a ``marked`` one waits."""

    key: str
    minutes: int
    acts: tuple[Act, ...]
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A whole visit of one patient of ``sandbox/hospital/people.json``."""

    name: str
    patient: str
    steps: tuple[Step, ...]


def _step(key: str, minutes: int, *acts: Act) -> Step:
    return Step(key, minutes, acts)


CARDIOLOGY = Script(
    "cardiology",
    "mother",
    (
        _step("register", 0, ("register", "CARD"), ("order", "reg", "REG"), ("order", "cons", "CONS3")),
        _step("see", 20, ("call", "cons", 0, "303诊室"), ("confirm", "reg")),
        _step(
            "order",
            6,
            ("order", "blood", "BLOODCARD"),
            ("order", "ecg", "ECG12"),
            ("order", "echo", "ECHOHEART"),
            ("order", "holter", "HOLTER"),  # never done: ordered, planned, not owed
        ),
        _step("seen", 2, ("confirm", "cons")),
        _step("blood_queue", 3, ("call", "blood", 3)),
        _step("blood_call", 6, ("call", "blood", 0, "4号窗口")),
        _step("blood", 2, ("confirm", "blood")),
        _step("ecg_queue", 5, ("call", "ecg", 1)),
        _step("ecg", 9, ("confirm", "ecg")),
        _step("ecg_result", 4, ("result", "ecg", "normal", "ecg_ok")),
        _step("echo_queue", 4, ("call", "echo", 2)),
        _step("echo_call", 14, ("call", "echo", 0, "306室")),
        _step("echo", 18, ("confirm", "echo")),
        _step("echo_result", 8, ("result", "echo", "abnormal", "echo_mild")),
        _step("blood_result", 10, ("result", "blood", "abnormal", "lipid_high")),
        _step("prescribe", 8, ("order", "medicine", "RXCARD")),
        _step("medicine", 10, ("confirm", "medicine")),
        _step("finish", 2, ("finish",)),
    ),
)

LETTER = Script(
    "letter",
    "mother",
    (CARDIOLOGY.steps[0], Step("signed", 0, (), marked=True), *CARDIOLOGY.steps[1:]),
)

ANTENATAL = Script(
    "antenatal",
    "expectant",
    (
        _step("register", 0, ("register", "OBST"), ("order", "reg", "REG"), ("order", "cons", "CONS2")),
        _step("see", 15, ("call", "cons", 0, "422诊室"), ("confirm", "reg")),
        _step(
            "order",
            8,
            ("order", "blood", "BLOODANTE"),
            ("order", "urine", "URINE"),
            ("order", "scan", "USOB"),
            ("order", "monitor", "NST"),
        ),
        _step("seen", 2, ("confirm", "cons")),
        _step("blood", 8, ("confirm", "blood")),
        _step("urine", 5, ("confirm", "urine")),
        _step("scan_queue", 4, ("call", "scan", 4)),
        _step("scan", 25, ("confirm", "scan")),
        _step("scan_result", 8, ("result", "scan", "normal", "ob_scan")),
        _step("monitor", 25, ("confirm", "monitor")),
        _step("monitor_result", 3, ("result", "monitor", "normal", "nst")),
        _step("results", 20, ("result", "blood", "abnormal", "hb_low"), ("result", "urine", "normal", "urine_ok")),
        _step("prescribe", 6, ("order", "medicine", "RXANTE")),
        _step("medicine", 9, ("confirm", "medicine")),
        _step("finish", 1, ("finish",)),
    ),
)

CHILD = Script(
    "child",
    "child",
    (
        _step("register", 0, ("register", "PEDI"), ("order", "reg", "REG"), ("order", "cons", "CONS")),
        _step("see", 12, ("call", "cons", 0, "102诊室"), ("confirm", "reg")),
        _step("order", 5, ("order", "blood", "BLOODBASIC"), ("order", "flu", "FLU")),
        _step("seen", 1, ("confirm", "cons")),
        _step("blood", 7, ("confirm", "blood")),
        _step("flu", 4, ("confirm", "flu")),
        _step("results", 28, ("result", "blood", "abnormal", "crp"), ("result", "flu", "normal", "flu_no")),
        _step("prescribe", 6, ("order", "nebulise", "NEB"), ("order", "medicine", "RXCHILD")),
        _step("nebulise", 18, ("confirm", "nebulise")),
        _step("medicine", 6, ("confirm", "medicine")),
        _step("finish", 1, ("finish",)),
    ),
)

EMERGENCY = Script(
    "emergency",
    "unknown",
    (
        _step("arrive", 0, ("register", "EMER", True)),
        _step("rescue", 1, ("order", "rescue", "RESUSBASIC"), ("order", "cons", "CONSE")),
        _step("rescued", 10, ("confirm", "rescue"), ("confirm", "cons")),
        _step("tests", 2, ("order", "blood", "BLOODHEART"), ("order", "ecg", "ECG12"), ("order", "scan", "CTHEAD")),
        _step("blood", 3, ("confirm", "blood")),
        _step("ecg", 4, ("confirm", "ecg"), ("result", "ecg", "critical", "ecg_st")),
        _step("scan", 15, ("confirm", "scan")),
        _step("results", 20, ("result", "blood", "critical", "troponin"), ("result", "scan", "normal", "head_ok")),
        _step("identify", 10, ("identify",)),
        _step("suture", 15, ("order", "suture", "RESUSSUTURE"), ("confirm", "suture"), ("order", "shot", "TETANUS")),
        _step("medicine", 8, ("confirm", "shot")),
        _step("finish", 60, ("finish",)),
    ),
)

PAY_FIRST = Script(
    "pay_first",
    "pay_first",
    (
        _step("register", 0, ("register", "GMED"), ("order", "reg", "REG"), ("order", "cons", "CONS")),
        _step("pay_register", 4, ("pay", "reg", "cons"), ("confirm", "reg")),
        _step("see", 15, ("confirm", "cons"), ("order", "blood", "BLOODSUGAR"), ("order", "scan", "USABD")),
        _step("pay_tests", 8, ("pay", "blood", "scan")),
        _step("blood", 8, ("confirm", "blood")),
        _step("scan", 20, ("confirm", "scan")),
        _step("results", 40, ("result", "blood", "normal", "sugar_ok"), ("result", "scan", "normal", "abdomen_ok")),
        _step("prescribe", 6, ("order", "medicine", "RXSTOMACH")),
        _step("pay_medicine", 5, ("pay", "medicine")),
        _step("medicine", 6, ("confirm", "medicine")),
        _step("finish", 1, ("finish",)),
    ),
)

SCRIPTS: dict[str, Script] = {s.name: s for s in (CARDIOLOGY, LETTER, ANTENATAL, CHILD, EMERGENCY, PAY_FIRST)}
