"""How to prepare for an examination, in sentences: the hospital's code → what to do before going there."""

PREPARATION = {
    "fasting": "先别吃东西，可以喝几口水。",
    "full_bladder": "先喝水憋尿，想上厕所了再去。",
    "remove_metal": "取下身上的金属，首饰、手表、皮带都算。",
    "bring_records": "带上以前的病历和检查单。",
}

# On paper, what is sensitive is called by its kind alone.
KINDS = {
    "registration": "挂号",
    "consultation": "看医生",
    "lab": "化验",
    "procedure": "一项检查",
    "imaging": "一项检查",
    "medication": "取药",
    "": "另一项",
}
THE_DOCTOR = "看病的医生那里"
ASK_WHERE = "到导诊台，出示旁边的码，工作人员告诉您在哪里。"
ASK_READY = "做之前怎么准备，请问导诊台。"


def preparation(codes: list[str]) -> tuple[str, ...]:
    """The sentences for these codes; one we do not know is left out rather than shown as a code."""
    return tuple(PREPARATION[code] for code in codes if code in PREPARATION)
