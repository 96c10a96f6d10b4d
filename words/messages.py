"""The short sentences a patient and her family send each other: chosen, never typed, so that nothing can go wrong in them."""

TO_FAMILY = {
    "fine": "我没事，别担心。",
    "waiting": "我在排队，还要等一会儿。",
    "done": "这一项做完了。",
    "call_me": "方便的话，给我打个电话。",
    "fetch_me": "快看完了，请来接我。",
}
TO_PATIENT = {
    "here": "我在看着呢，别着急。",
    "slowly": "慢慢走，不赶时间。",
    "ask": "有不明白的，就问导诊台。",
    "calling": "我给您打电话，请接一下。",
    "coming": "我在路上了。",
}


def sentence(code: str, *, to_patient: bool) -> str:
    """The sentence of a code; one we no longer have is passed over in plain words."""
    return (TO_PATIENT if to_patient else TO_FAMILY).get(code, "发来一句话。")
