"""Sample pages of binding by phone and by the desk, and of another telephone number."""

from collections.abc import Mapping
from dataclasses import replace

from pwa import views as v
from pwa.form_views import DeskInvite, DeskPhones, Field, Form, PhoneRow
from pwa.pages.pass_ import picture
from pwa.sample_morning import GRANTS, HEAD, HOSPITAL, ME, Sample, at
from words import errors
from words import family as family_words
from words.binding import DOCUMENTS, Binding, Phones
from words.pages import Pages
from words.patient import Family

_RELATIONS = tuple(family_words.RELATIONS.items())


def _inline(text: str) -> str:
    import base64

    return "data:image/png;base64," + base64.b64encode(picture(text, 5)).decode()


def _existing() -> dict[str, Sample]:
    """What binding adds to pages there are."""
    bound = replace(GRANTS[0], books=True, signs=True, proof="2026年11月20日，医院窗口")
    asked = replace(
        GRANTS[1],
        proof="2026年11月1日，手机验证码",
        insurer=Binding.insurer_says[True],
        insurer_at=at(9, 30),
        insurer_url="/x",
    )
    unknown = replace(asked, id="g5", insurer=Binding.insurer_says[None])
    never = replace(asked, id="g6", insurer=None, insurer_at=None)
    beside = v.DeskVisit(
        HEAD,
        "8426109355",
        deferred=True,
        owed_fen=0,
        contract=True,
        may_exclude=(("", Pages.desk_visit.exclude_whole), ("c1", "心脏彩超 ¥37.20")),
        guardians=(("儿子", "示**", "2026年11月20日，法院判决书 · 示例己 · 到2027年11月19日", "/x"),),
        family=(("女儿", "示*丙", "2026年11月20日，医院窗口 · 示例己", "/x"),),
        may_guard=True,
        relations=Pages.desk_visit.relations,
        documents=tuple(DOCUMENTS.items()),
        invite_url="/x",
        phone_url="/x",
    )
    return {
        "family-proofs": Sample(
            "family.html", v.Family(ME, (bound,), (asked, unknown, never), (), by_phone=True), v.Nav("family")
        ),
        "desk_visit-guardian": Sample("desk_visit.html", beside),
    }


def _desk() -> dict[str, Sample]:
    """The desk's side."""
    desk = Form(
        f"{Binding.desk_title} · 示例甲",
        Binding.desk_says,
        (
            Field("relation", family_words.DESK_RELATION, "pick", "daughter", _RELATIONS),
            Field("pays", Binding.pays, "tick", "1", required=False),
            Field("books", Binding.books, "tick", "1", required=False),
            Field("signs", Binding.signs, "tick", "", required=False),
            Field("depth", Binding.depth, "pick", "steps", Binding.depths),
            Field("share", Binding.share, "tick", "", required=False),
        ),
        "/x",
        Binding.make,
        "/desk",
    )
    slip = DeskInvite(
        "示例甲",
        ("女儿", Family.pays, Family.books, Family.depth["steps"]),
        _inline("https://houfu.test/bind/x"),
        "K7M2Q9",
        at(9, 50),
        at(9, 40, 1),
        "/desk",
    )
    row = PhoneRow("c1", "示例甲", "199****0011", DOCUMENTS["id_card"], "窗口 1 号", at(9, 30), mine=False)
    return {
        "form-desk": Sample("form.html", desk),
        "desk_invite": Sample("desk_invite.html", slip),
        "desk_phones": Sample("desk_phones.html", DeskPhones(HOSPITAL, (row, replace(row, id="c2", mine=True)))),
        "desk_phones-none": Sample("desk_phones.html", DeskPhones(HOSPITAL, (), done=Phones.done)),
    }


def claims() -> dict[str, Sample]:
    """Both sides of an invitation that was accepted and waits for her yes."""
    opens = (f"{Family.pays}，{Family.cap_says(50000)}", Family.depth["bill"], Family.scope_standing)
    one = v.ClaimCard("i1", "示**", "女儿", "0002", opens)
    child = v.ClaimCard("i2", "示*", "家人", "", (Family.depth["steps"], Family.scope_visit), "示**")
    bind = v.Bind("k3v9", "示**", "女儿", True, True, "bill", 50000, None, end_url="/x")
    qr = v.Invite(ME, "http://127.0.0.1/bind/k3v9", _inline("https://houfu.test/bind/x"), at(10, 24, 1))
    return {
        "claims": Sample("claims.html", v.Claims((one, child), None)),
        "claims-none": Sample("claims.html", v.Claims((), None)),
        "invite-claimed": Sample("invite.html", replace(qr, claims=(one,))),
        "bind-waiting": Sample("bind.html", replace(bind, state="waiting")),
        "bind-accepted": Sample("bind.html", replace(bind, state="accepted")),
        "bind-over": Sample("bind.html", replace(bind, state="withdrawn")),
    }


def samples() -> Mapping[str, Sample]:
    """These pages by name."""
    details = Form(
        Binding.phone_title,
        Binding.phone_says,
        (
            Field("name", Binding.name),
            Field("id_number", Binding.id_number, "id_number"),
            Field("phone", Binding.phone, "phone"),
            Field("relation", Binding.relation, "pick", "daughter", _RELATIONS),
        ),
        "/bind/phone",
        Binding.send,
        "/family",
    )
    code = Form(
        Binding.code_title,
        Binding.code_says,
        (Field("code", Binding.code, "code"),),
        "/bind/phone/x",
        Binding.next,
        "/bind/phone",
        error=errors.sentence("wrong_ask_code"),
    )
    yes = v.Ask(Binding.yes_title, Binding.yes_says("示**", "女儿"), "/x", Binding.yes, "/family")
    proof = Form(
        Phones.title,
        Phones.code_says,
        (
            Field("old_code", Phones.old_code, "code"),
            Field("new_code", Phones.new_code, "code"),
            Field("id_number", Phones.id_number, "id_number"),
        ),
        "/settings/phone",
        Phones.change,
        "/settings",
    )
    return {
        **_existing(),
        **_desk(),
        "form": Sample("form.html", details),
        "form-code": Sample("form.html", code),
        "form-phone": Sample("form.html", proof),
        "ask-phone": Sample("ask.html", yes),
        "ask-lost": Sample("ask.html", v.Ask(Phones.lost_title, Phones.lost_says, "/x", Phones.lost, "/settings")),
    }
