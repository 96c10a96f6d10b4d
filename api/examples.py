"""One example of everything that is asked and answered, shown at ``/openapi.json``; a test validates each."""

from typing import Any, get_args, get_origin

from pydantic import BaseModel

from api import sheets
from api.routes import (
    binding,
    bookings,
    books,
    claims,
    consent,
    contracts,
    family,
    guide,
    insurance,
    pay_links,
    payments,
    phones,
    reminders,
    session,
    terminals,
    visits,
    wechat,
    words,
)
from intake.rules import example as his_example

VISIT = "5f0b1d6e-6c55-5a53-9c1e-0d7a2b7f4c11"
HOSPITAL = "0c0f3a52-7a3e-5d0c-8f64-2f6a5b1a9e01"
PATIENT = "8a6f6c3e-1f0f-5f7e-9d57-3a1f2e9d7b22"
RELATIVE = "b1c4b7f4-0a52-4f6b-8a0e-6a4f3f0f8d33"
READING = "2d3c9b5e-9c6c-4a0a-8a58-7b1f5c0e4a44"
CONTRACT = "6b7e2f1c-3d4a-4c0b-9b0e-1f2a3b4c5d55"
LINE = "91d2c3b4-a5f6-5e7d-8c9b-0a1b2c3d4e66"
ORDER = "a2e3f4c5-b6d7-5f8e-9dac-1b2c3d4e5f77"
PAYMENT = "c3f4a5d6-e7b8-4a9f-8ebd-2c3d4e5f6a88"
BOND = "d4a5b6e7-f8c9-4bab-9fce-3d4e5f6a7b99"
TICKET = "v1.kY0pQ2…"
AFTER = "AQAB3x7…"  # opaque: give it back as it came
AT = "2026-11-20T09:31:05+08:00"
LATER = "2026-11-21T16:20:00+08:00"

SUMS = {
    "done_fen": 12600, "payable_fen": 3780, "fund_fen": 8820, "account_fen": 0, "self_fen": 3780, "planned_fen": 24000,
    "first_fen": 0, "prepaid_fen": 0, "hospital_fen": 0,
    "paid_fen": 0,
}  # fmt: skip
_VISIT = {
    "id": VISIT, "hospital_id": HOSPITAL, "patient_id": PATIENT, "day": "2026-11-20", "state": "ended",
    "mode": "DEFERRED", "due_at": LATER, "ended_at": "2026-11-20T16:20:00+08:00", "owner": True,
}  # fmt: skip
_LINE = {
    "id": LINE, "order_id": ORDER, "name": "肝肾功能", "department": "检验科", "quantity": "1", "amount_fen": 12600,
    "fund_fen": 8820, "account_fen": 0, "self_fen": 3780, "insurance_class": "A", "pile": "done", "state": "billable",
    "rank": 17, "ordered_by": "值班医生", "ordered_at": AT, "executed_by": "检验科 3 号", "executed_at": AT,
    "executed_where": "2 楼抽血处", "category": None, "can_dispute": True, "can_abandon": False,
    "refund": None, "can_refund": False, "hospital_fen": 0, "pay_first": False, "going_back": False,
}  # fmt: skip
_SHARE = {"number": 2, "amount_fen": 3000, "state": "free", "label": "您女儿"}
_PART = {
    "id": BOND, "state": "placed", "total_fen": 12600, "fund_fen": 8820, "account_fen": 2520, "mutual_aid_fen": 520,
    "other_fen": 0, "hospital_part_fen": 0, "cash_fen": 1260,
}  # fmt: skip
_ROUND = {
    "state": "open", "cash_fen": 3780, "paid_fen": 780, "left_fen": 3000,
    "parts": None,
    "shares": [{"number": 1, "amount_fen": 780, "state": "paid", "label": "您"}, _SHARE],
}  # fmt: skip
_STEP = {
    "id": ORDER, "kind": "lab", "name": "抽血", "department": "检验科", "place": "2 楼抽血处", "state": "checked_in",
    "preparation": ["先别吃东西，可以喝几口水。"], "note": None, "ahead": 3, "queue_at": AT, "room": None,
    "result_flag": None, "at": AT, "rank": 17,
}  # fmt: skip
_WISH = {
    "off_topics": ["bill"], "off_channels": ["sms"], "quiet_from": "21:30", "quiet_to": "07:00", "basic": False,
}  # fmt: skip
_CONTRACT = {
    "contract_id": CONTRACT, "hospital_id": HOSPITAL, "state": "signed", "role": "patient", "method": "strokes",
    "channel": "OFFICIAL_ACCOUNT", "signed_at": AT, "sealed": False, "waits_for_doctor": True,
}  # fmt: skip
_GRANT: dict[str, Any] = {
    "id": BOND, "bond": BOND, "patient": "朱**", "relative": "示**", "kind": "pay", "relation": "daughter",
    "depth": "none", "opened": [], "calls": False, "visit_id": None, "cap_fen": 50000, "ask_first": False,
    "proof": "invitation", "until": None, "state": "active",
}  # fmt: skip
_WORD = {
    "id": BOND, "code": "fine", "text": "我没事，别担心。", "to_patient": False, "relation": "", "at": AT,
}  # fmt: skip
_DIFFERENCE = {
    "id": LINE, "about": "settlement", "kind": "missing_at_his", "number": "HFS20261120…", "payment": "HFS20261120…",
    "reference": "4200…", "amount_fen": 7760, "here_fen": 7760, "there_fen": None, "cause": "on_its_way",
    "state": "open", "found_at": LATER, "closed_at": None, "closed_reason": None,
}  # fmt: skip
_DEBTOR = {"guardian": True, "minor": True, "name": "孙**"}
_LIMITS = {
    "per_payment_fen": 30000, "per_day_fen": 50000, "per_month_fen": 200000, "after_visit": "ready", "ready_fen": 10000,
}  # fmt: skip
_OFFER = {"relation": "daughter", "pays": True, "cap_fen": 50000, "ask_first": False, "depth": "bill", "opened": []}
_CLAIM = {
    **_OFFER, "id": BOND, "patient": "朱**", "relative": "示*", "tail": "0002", "visit_id": VISIT, "expires_at": LATER,
}  # fmt: skip
_IN = {"state": "in", "token": "hf_3q…", "expires": LATER, "proven": True, "ticket": None, "people": []}

MODELS: dict[type[BaseModel], Any] = {
    books.BookOut: {
        "day": "2026-11-20", "sides": {"provider": "there", "his": "there"},
        "totals": {"provider": {"paid": 7760, "back": 0, "count": 1}}, "diff_fen": 7760, "open_fen": 7760, "waiting": 0,
        "compared_at": LATER, "lines": [_DIFFERENCE],
    },
    consent.OfferOut: {"offered": True, "signed": False, "why_not": None},
    consent.OpenBody: {"hospital_id": HOSPITAL, "patient_id": PATIENT, "elder": False},
    consent.ReadingOut: {
        "reading_id": READING, "title": "先诊疗后付费信用承诺书", "version": "2026 年第 1 版", "sha256": "9f86d081…",
        "regions": [{"code": "told", "title": "一、告诉您的事", "text": "签了以后，看病中途不用交钱，看完一次付清。"}],
        "seconds_total": 20, "seconds_left": 20,
    },
    consent.BeatBody: {"end": False, "regions": ["told"]},
    consent.LeftOut: {"seconds_left": 17},
    consent.PenOut: {"nonce": "p7Jt…"},
    consent.SignBody: {
        "nonce": "p7Jt…", "strokes": [[[20, 40.5, 0, 0.2], [60.3, 44, 40, 0.5]]], "box": [320, 160], "client_time": AT,
    },
    consent.ContractOut: _CONTRACT,
    family.FamilyOut: {"given": [_GRANT], "held": []},
    family.InviteBody: {**_OFFER, "patient_id": None, "visit_id": VISIT, "share": True},
    family.WatchBody: {"depth": "results", "opened": ["gynaecology"], "calls": True},
    family.ChoiceBody: {"kind": "share", "given": False},
    family.ChoiceOut: {"kind": "share", "given": True, "version": "2026-2", "at": AT},
    words.WordBody: {"code": "fine"},
    words.WordOut: _WORD,
    words.WordsOut: {"said": [_WORD], "can_say": {"fine": "我没事，别担心。"}},
    family.InvitedOut: {
        "id": BOND, "path": "/bind/k3v9…", "code": "482106", "code_expires_at": AT, "expires_at": LATER,
    },
    family.OfferOut: {**_OFFER, "patient": "朱**", "visit_id": VISIT, "expires_at": LATER, "state": "offered"},
    contracts.ContractOut: {"offered": True, "state": "signed", "signed_at": AT},
    contracts.SignOut: {"url": "https://api.mch.weixin.qq.com/papay/entrustweb?…"},
    claims.ClaimOut: _CLAIM,
    claims.ClaimsOut: {"to_answer": [_CLAIM], "waiting": []},
    claims.ClaimBody: {"agreed": True},
    family.GrantOut: _GRANT,
    binding.PhoneBindingBody: {
        "name": "示例甲", "id_number": "999901195503120022", "phone": "19900000001", "relation": "daughter",
    },
    binding.PhoneBindingOut: {"id": BOND, "expires_at": LATER},
    binding.PhoneCodeBody: {"code": "204816"},
    binding.NamedOut: {"patient": "示**", "relation": "daughter"},
    binding.DeskInviteBody: {**_OFFER, "patient_number": "P0000003", "books": True, "share": True},
    binding.GuardianOut: {
        **_GRANT, "kind": "guard", "proof": "desk", "document": "household", "proven_by": RELATIVE, "created_at": AT,
    },
    binding.InsurerBody: {"patient_id": PATIENT},
    binding.InsurerOut: {"says": "yes"},
    phones.NewPhone: {"phone": "19900000011"},
    phones.PhoneProof: {
        "phone": "19900000011", "old_code": "204816", "new_code": "731902", "id_number": "999901195503120022",
    },
    phones.DeskPhone: {
        "patient_number": "P0000003", "phone": "19900000011", "code": "204816", "document": "id_card",
    },
    phones.DeskAnswer: {"confirmed": True},
    phones.ChangeOut: {
        "id": BOND, "patient": "示例甲", "phone": "199****0011", "document": "id_card", "asked_by": RELATIVE,
        "asked_at": AT,
    },
    visits.DebtorOut: _DEBTOR,
    family.CodeBody: {"who": "19900000001", "code": "482106"},
    family.LookOut: {"who": "示**", "relation": "daughter", "page": "bill", "visit_id": VISIT, "at": AT},
    family.GuardianBody: {"patient_number": "P0000003", "guardian_phone": "19900000004", "relation": "parent"},
    pay_links.LinkBody: {"amount_fen": 3780, "share": None},
    pay_links.LinkMadeOut: {"id": BOND, "path": "/l/q7Jt…", "amount_fen": 3780, "expires_at": LATER},
    pay_links.LinkOut: {
        "id": BOND, "state": "paid", "amount_fen": 3780, "share": None, "created_at": AT, "expires_at": LATER,
        "paid_at": AT, "channel": "JSAPI",
    },
    pay_links.LinkSeenOut: {
        "hospital": "示例市第一人民医院", "patient": "朱**", "amount_fen": 3780, "state": "open", "expires_at": LATER,
        "paid_at": None,
    },
    pay_links.LimitsBody: _LIMITS,
    pay_links.AskBody: {"amount_fen": 3780},
    pay_links.RequestOut: {"visit_id": VISIT, "person_id": RELATIVE, "who": "您女儿 示**", "amount_fen": 3780},
    pay_links.AnswerBody: {"visit_id": VISIT, "person_id": RELATIVE, "agreed": True},
    pay_links.LimitsOut: {**_LIMITS, "left_fen": 12220},
    payments.PayBody: {"amount_fen": 3780, "channel": "JSAPI", "patient_id": PATIENT, "share": None},
    payments.ShareBody: {"amount_fen": 3000, "person_id": RELATIVE},
    payments.CutBody: {"left_fen": 3780, "shares": [{"amount_fen": 3000, "person_id": RELATIVE}]},
    payments.Payment: {
        "id": PAYMENT, "visit_id": VISIT, "state": "offered", "amount_fen": 3780, "channel": "JSAPI",
        "expires_at": LATER, "paid_at": None, "client_params": {"appId": "wx…", "package": "prepay_id=wx…"},
        "h5_url": None, "code_url": None,
    },
    payments.PaidOut: {
        "id": PAYMENT, "visit_id": VISIT, "patient": "朱**", "hospital": "示例市第一人民医院", "amount_fen": 3780,
        "refunded_fen": 0, "channel": "JSAPI", "paid_at": AT,
    },
    session.AskCode: {"phone": "19900000001"},
    session.PhoneLogin: {"phone": "19900000001", "code": "204816", "ticket": None},
    session.Choice: {"ticket": TICKET, "person_id": PATIENT},
    session.Enrolment: {"ticket": TICKET, "name": "朱桂芳", "id_number": "999901195503120022"},
    session.MiniLogin: {"code": "0a3Xb…"},
    session.StaffLogin: {"hospital": None, "login": "c.cash", "pin": "246810"},
    session.StepOut: _IN,
    session.SessionOut: {
        "kind": "person", "id": RELATIVE, "role": None, "department": None,
        "people": [{"id": RELATIVE, "name": "示例乙"}, {"id": PATIENT, "name": "朱**"}],
    },
    terminals.Taken: {"state": "taken"},
    terminals.Look: {
        "authinfo": "q0hvB1…", "expires_in": 3600, "appid": "wx8888888888888888", "mch_id": "1900000100",
        "store_id": "HF01", "out_trade_no": "HF20261122K7M2Q9X4W8R5T3", "total_fee": 7760,
    },
    bookings.SlotOut: {
        "id": "d.card-202611231400", "doctor": "周明远", "begins": "2026-11-23T14:00:00+08:00",
        "until": "2026-11-23T14:30:00+08:00", "free": 3, "fee_fen": 100, "pay": "account",
    },
    bookings.BookBody: {
        "hospital_id": HOSPITAL, "department": "CARD", "day": "2026-11-23", "slot": "d.card-202611231400",
        "patient_id": PATIENT, "fee_fen": 100, "pay": "account",
    },
    bookings.BookingOut: {
        "id": BOND, "hospital_id": HOSPITAL, "patient_id": PATIENT, "patient": "朱**", "department": "CARD",
        "department_name": "心内科门诊", "doctor": "周明远", "begins": "2026-11-23T14:00:00+08:00",
        "until": "2026-11-23T14:30:00+08:00", "number": "3", "state": "booked", "reason": None, "cause": None,
        "fee_fen": 100, "pay": "account", "pay_by": None, "fee_state": "none", "visit_id": None, "lines": [],
        "can_cancel": True, "cancel_until": "2026-11-23T12:00:00+08:00",
    },
    wechat.PageOut: {"appId": "wx8888888888888888", "timestamp": 1795219200, "nonceStr": "5f…", "signature": "0f9d…"},
    wechat.CodeBody: {"path": "/o/K7Q2M9"},
    wechat.CodeOut: {"url": "http://weixin.qq.com/q/02x…", "purpose": "order"},
    visits.VisitOut: _VISIT,
    visits.BillOut: {
        "visit": _VISIT, "hospital": "后付演示医院", "phone": "0519-0000000", "patient": "朱桂芳", "sums": SUMS,
        "lines": [_LINE], "round": _ROUND, "debtor": _DEBTOR, "after": AFTER,
    },
    visits.ShareOut: _SHARE,
    visits.PartOut: _PART,
    insurance.InsureBody: {"account_used": True},
    insurance.ConsentBody: {"auth_code": "5b1f…"},
    insurance.AgreeBody: {"cash_fen": 1260},
    insurance.JumpOut: {
        "app_id": "wxe183cd55df4b4369",
        "path": "auth/pages/bindcard/auth/index?openType=getAuthCode&bizType=04107&orgCodg=H43010000001",
    },
    insurance.BegunOut: {"settlements": [BOND]},
    insurance.InsuringOut: {
        "round_state": "insuring",
        "settlements": [
            {
                **_PART,
                "state": "paying",
                "waits_for": "password",
                "pay_fen": 1260,
                "invoke": {"channel": "JSAPI", "params": {"appId": "wx0", "mixTradeNo": "M20261120"}},
            }
        ],
    },
    reminders.WishBody: _WISH,
    reminders.WishOut: {**_WISH, "push_key": "BPx…", "rings_here": False},
    reminders.BrowserBody: {
        "endpoint": "https://fcm.googleapis.com/fcm/send/c1x…",
        "keys": {"p256dh": "B" + 86 * "N", "auth": 22 * "k"},
    },
    reminders.EndpointBody: {"endpoint": "https://fcm.googleapis.com/fcm/send/c1x…"},
    reminders.CallerCodeOut: {
        "hospital_id": HOSPITAL, "hospital": "滨海市第一人民医院", "digits": "4821", "until": LATER,
    },
    reminders.MessageBody: {"digits": "4821"},
    reminders.MessageOut: {"ours": True, "sent_at": AT, "hospital": "滨海市第一人民医院"},
    visits.RoundOut: _ROUND,
    visits.StepsOut: {"steps": [_STEP], "next": ORDER, "after": AFTER},
    visits.PassOut: {"number": "8426109355", "live": "HF1.…", "kept": "HF0.…", "step_seconds": 30},
    sheets.SheetOut: {
        "hospital": "示例市第一人民医院", "phone": "0513-8550-0000", "patient": "朱**", "number": "8426 1093 55",
        "kept": "HF0.…", "printed_at": AT, "department": "心内科门诊", "map_version": 3, "note": None,
        "sensitive": False,
        "steps": [{
            "order_id": ORDER, "number": "L20261120-0042", "code": "https://houfu.example/o/kQ3v9ZpX7mT2Lw8a",
            "name": "肝肾功能", "place": "门诊楼2楼扶梯口，1到8号窗口", "state": "placed",
            "ready": ["先别吃东西，可以喝几口水。"], "because": "先肝肾功能：空腹，结果要45分钟。", "discreet": False,
            "way": {"lines": ["乘下行扶梯到2楼。", "下扶梯左转，“抽血处”在左手边。"], "about": "约2–4分钟"},
        }],
        "back": {"name": "心内科门诊", "place": "门诊楼3楼东侧，301到308诊室", "way": None},
    },
    visits.FirstBody: {"first": [ORDER], "looked_at": []},
    guide.LaterBody: {"until": "2026-11-20T10:15:00+08:00", "reason": "unwell"},
    guide.WalkingBody: {"profile": "wheelchair"},
    guide.PlaceBody: {"code": "K7M2QXA"},
    visits.DisputeBody: {"reason": "这项根本没做"},
    visits.DisputeOut: {"id": BOND, "answer_by": LATER},
    visits.LeftOut: {"given_up": 1, "sums": SUMS},
    visits.ScanBody: {"code": "8426109355"},
    visits.ScanOut: {
        "visit_id": VISIT, "grade": "live", "check_name": False, "orders": [ORDER], "checked_in": [ORDER],
    },
}  # fmt: skip

# Answers that have no model of their own.
PLAIN: dict[tuple[str, str], Any] = {
    ("post", "/api/family/codes"): {"token": "k3v9…"},
    ("post", "/api/session/code"): {"status": "sent"},
    ("post", "/api/session/phone/codes"): {"status": "sent"},
    ("post", "/api/desk/phone-changes/codes"): {"status": "sent"},
    ("post", "/api/desk/phone-changes"): {"id": BOND},
    ("post", "/api/reminders/test"): {"status": "sent"},
    ("post", "/api/callbacks/sms/{secret}"): {"result": 0, "errmsg": "OK"},
    ("post", "/api/consent/readings/{reading_id}/code"): None,
    ("post", "/api/his/events"): {
        "items": [
            {"id": his_example("charge.created")["id"], "status": "accepted"},
            {"id": his_example("execution.confirmed")["id"], "status": "parked", "waits_for": "charge"},
        ]
    },
    ("post", "/api/callbacks/wechat-pay/deduction"): None,
    ("post", "/api/callbacks/wechat-pay/contract"): None,
    ("get", "/api/callbacks/wechat"): None,
    ("post", "/api/callbacks/wechat"): None,
    ("get", "/livez"): {"status": "ok"},
    ("get", "/readyz"): {"status": "ok"},
}


def of(kind: Any) -> Any:
    """The example of a model, or of a list of it.

    Raises:
        KeyError: nobody wrote one.
    """
    if get_origin(kind) is list:
        return [of(get_args(kind)[0])]
    return MODELS[kind]
