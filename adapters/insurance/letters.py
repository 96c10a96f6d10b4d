"""What we write to the payment centre and what we make of its answers: field names, yuan, dates, and back.

Amounts leave and arrive in yuan with at most two decimals and are fen everywhere else; times on the wire are Beijing's.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from kernel.outside import Rejected, Unknown
from payments.ports import (
    Credential,
    Diagnosis,
    FeeLine,
    FeeUpload,
    InsuranceOrder,
    InsuranceRefund,
    InsuranceRefunded,
    InsuranceRefundStatus,
    InsuranceState,
    InsuranceStatus,
    Insured,
    RefundKind,
    Split,
)

_BEIJING = timezone(timedelta(hours=8))
_YUAN = re.compile(r"\d{1,12}(?:\.\d{1,2}0*)?")
_NUMBER = re.compile(r"[A-Za-z0-9_\-]{1,20}")
_REFUND_NUMBER = re.compile(r"[A-Za-z0-9_\-]{1,64}")
_CALL_TYPE_NOTICE = "02"


def yuan(fen: int) -> str:
    """``7760`` → ``"77.60"``."""
    return f"{fen // 100}.{fen % 100:02d}"


def fen(value: object) -> int:
    """A yuan amount as text or JSON number.

    Raises:
        Unknown: no plain, non-negative amount with at most two decimals.
    """
    text = str(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else ""
    if not _YUAN.fullmatch(text):
        raise Unknown("insurance: an amount that is none")
    return int(Decimal(text) * 100)


def upload(fees: FeeUpload, org: str) -> dict[str, Any]:
    """6201.

    Raises:
        Rejected: ``PARAM_ERROR``; the sums, the authorization or a number do not hold.
    """
    if not _NUMBER.fullmatch(fees.order_number):
        _wrong("order_number")
    if bool(fees.pay_auth_no) == bool(fees.ec_token) or (fees.pay_auth_no and not fees.registration):
        _wrong("authorization")
    amounts = [line.amount_fen for line in fees.lines]
    if not amounts or min(amounts) < 0 or sum(amounts) != fees.total_fen or fees.total_fen < 1:
        _wrong("the lines do not make the total")
    if fees.scope is not None and (min(fees.scope) < 0 or sum(fees.scope) != fees.total_fen):
        _wrong("the scope does not make the total")
    one = fees.insured
    first = fees.diagnoses[0] if fees.diagnoses else _wrong("no diagnosis")
    asked: dict[str, Any] = {
        "orgCodg": org,
        "psnNo": one.person_number,
        "insutype": one.insurance_type,
        "insuCode": one.region,
        "insuplcAdmdvs": one.region,
        **_identity(one),
        "medOrgOrd": fees.order_number,
        "begntime": _seconds(fees.begun_at),
        "iptOtpNo": fees.visit_number,
        "deptCode": fees.department,
        "deptName": fees.department_name,
        "caty": fees.speciality,
        "diseCodg": first.code,
        "diseName": first.name,
        "medType": fees.medical_type,
        "feeType": fees.fee_type,
        "mdtrtCertType": "01",
        "psnSetlway": "01",
        "chrgBchno": fees.batch,
        "pubHospRfomFlag": "0",
        "acctUsedFlag": _flag(fees.account_used),
        "uldLatlnt": fees.location,
        "medfeeSumamt": yuan(fees.total_fen),
        "mdtrtId": fees.registration,
        "payAuthNo": fees.pay_auth_no,
        "ecToken": fees.ec_token,
        "diseinfoList": [_diagnosis(n, each) for n, each in enumerate(fees.diagnoses, 1)],
        "feedetailList": [_line(each, fees.batch) for each in fees.lines],
    }
    if fees.scope is not None:
        names = ("fulamtOwnpayAmt", "preselfpayAmt", "inscpScpAmt")
        asked |= {name: yuan(part) for name, part in zip(names, fees.scope, strict=True)}
    return asked


def place(order: InsuranceOrder, org: str) -> dict[str, Any]:
    """6202."""
    return {
        "payAuthNo": order.pay_auth_no,
        "payOrdId": order.credential.pay_order_id,
        "payToken": order.credential.pay_token,
        "orgCodg": org,
        "orgBizSer": order.business_number,
        "chrgBchno": order.batch,
        "feeType": order.fee_type,
        "mdtrtId": order.registration,
        "acctUsedFlag": _flag(order.account_used),
    }


def ask(credential: Credential, insured: Insured, org: str) -> dict[str, Any]:
    """6301 and 6401."""
    mine = {"payOrdId": credential.pay_order_id, "orgCodg": org, "payToken": credential.pay_token}
    return mine | _identity(insured)


def refund(order: InsuranceRefund, org: str) -> dict[str, Any]:
    """6203.

    Raises:
        Rejected: ``PARAM_ERROR``; the parts do not make the total or do not fit the kind.
    """
    insurance = (order.fund_fen, order.personal_account_fen, order.other_fen)
    if not _REFUND_NUMBER.fullmatch(order.refund_number) or not order.pay_order_id:
        _wrong("refund_number")
    if bool(order.pay_auth_no) == bool(order.ec_token):
        _wrong("authorization")
    if min(*insurance, order.cash_fen) < 0 or sum(insurance) + order.cash_fen != order.total_fen or not order.total_fen:
        _wrong("the parts do not make the total")
    if (order.kind is RefundKind.CASH and any(insurance)) or (order.kind is RefundKind.INSURANCE and order.cash_fen):
        _wrong("the parts do not fit the kind")
    return {
        "payOrdId": order.pay_order_id,
        "orgCodg": org,
        "appRefdSn": order.refund_number,
        "appRefdTime": order.at.astimezone(_BEIJING).strftime("%Y%m%d%H%M%S"),
        "totlRefdAmt": yuan(order.total_fen),
        "psnAcctRefdAmt": yuan(order.personal_account_fen),
        "fundRefdAmt": yuan(order.fund_fen),
        "cashRefdAmt": yuan(order.cash_fen),
        "payAuthNo": order.pay_auth_no,
        "ecToken": order.ec_token,
        "refdType": order.kind.value,
    }


def credential(told: Mapping[str, Any]) -> Credential:
    """6201's answer."""
    extra = told.get("extData")
    registration = (extra.get("mdtrtId") if isinstance(extra, Mapping) else None) or told.get("mdtrtId")
    return Credential(text(told, "payOrdId"), text(told, "payToken"), str(registration or ""))


def state(told: Mapping[str, Any], told_at: datetime) -> InsuranceState:
    """6202's, 6301's and 6302's contents: the status, and the split where something was reckoned.

    Raises:
        Unknown: another form, or amounts that do not add up (``UnbalancedSplit``).
    """
    status = told.get("ordStas")
    if not re.fullmatch(r"[0-9]|1[0-7]", str(status)):
        raise Unknown("insurance: no such status")
    traced = told.get("traceTime")
    return InsuranceState(
        pay_order_id=text(told, "payOrdId"),
        status=InsuranceStatus(int(str(status))),
        told_at=told_at,
        split=None if told.get("feeSumamt") in (None, "") else _split(told),
        order_number=str(told.get("medOrgOrd") or ""),
        traced_at=_stamp(traced) if traced else None,
    )


def notice(told: Mapping[str, Any], told_at: datetime) -> InsuranceState:
    """6302: the same, marked as told and not asked for.

    Raises:
        Unknown: another form.
    """
    if told.get("callType") != _CALL_TYPE_NOTICE:
        raise Unknown("insurance: no notice")
    return state(told, told_at)


def refunded(told: Mapping[str, Any], number: str) -> InsuranceRefunded:
    """6203's answer.

    Raises:
        Unknown: another form.
    """
    if told.get("appRefdSn") not in (None, "", number):
        raise Unknown("insurance: the answer is about another refund")
    try:
        status = InsuranceRefundStatus(str(told.get("refStatus")))
    except ValueError:
        raise Unknown("insurance: no such refund status") from None
    day, time = str(told.get("hiTrnsDate") or ""), str(told.get("hiTrnsTime") or "")
    at = _stamp(day + time) if re.fullmatch(r"\d{8}", day) and re.fullmatch(r"\d{6}", time) else None
    # The field is really called hiFefdSn.
    return InsuranceRefunded(number, status, str(told.get("refdSn") or ""), str(told.get("hiFefdSn") or ""), at)


def text(told: Mapping[str, Any], name: str) -> str:
    """A field that must be there.

    Raises:
        Unknown: it is not.
    """
    found = told.get(name)
    if not isinstance(found, str) or not found:
        raise Unknown(f"insurance: no {name} in the answer")
    return found


def _split(told: Mapping[str, Any]) -> Split:
    def part(name: str) -> int:
        found = told.get(name)
        return 0 if found in (None, "") else fen(found)

    return Split(
        total_fen=fen(told["feeSumamt"]),
        fund_fen=fen(told.get("fundPay")),
        personal_account_fen=fen(told.get("psnAcctPay")),
        cash_fen=fen(told.get("ownPayAmt")),
        mutual_aid_fen=part("acctMulaidPay"),
        other_fen=part("othFeeAmt"),
        hospital_part_fen=part("hospPartAmt"),
        deposit_fen=part("deposit"),
    )


def _identity(one: Insured) -> dict[str, str]:
    return {"idNo": one.id_number, "userName": one.name, "idType": one.id_type}


def _diagnosis(number: int, one: Diagnosis) -> dict[str, str]:
    return {
        "diagType": "1",
        "diagSrtNo": str(number),
        "diagCode": one.code,
        "diagName": one.name,
        "diagDept": one.department,
        "diseDorNo": one.doctor,
        "diseDorName": one.doctor_name,
        "diagTime": _seconds(one.at),
        "valiFlag": "1",
    }


def _line(one: FeeLine, batch: str) -> dict[str, str]:
    return {
        "feedetlSn": one.number,
        "chrgBchno": batch,
        "feeOcurTime": _seconds(one.at),
        "medListCodg": one.code,
        "medinsListCodg": one.hospital_code,
        "detItemFeeSumamt": yuan(one.amount_fen),
        "cnt": f"{one.quantity:f}",
        "pric": yuan(one.price_fen),
        "bilgDeptCodg": one.department,
        "bilgDrCodg": one.doctor,
    }


def _flag(choice: bool | None) -> str:
    return "" if choice is None else str(int(choice))


def _seconds(at: datetime) -> str:
    return at.astimezone(_BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _stamp(value: object) -> datetime | None:
    """``yyyyMMddHHmmss`` or ``yyyy-MM-dd HH:mm:ss``, Beijing; anything else is none, it decides nothing."""
    digits = re.sub(r"[-: ]", "", str(value))
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=_BEIJING).astimezone(UTC)
    except ValueError:
        return None


def _wrong(what: str) -> Any:
    raise Rejected("PARAM_ERROR", what)


def family(payer: Insured, patient: Insured, org_code: str) -> dict[str, Any]:
    """Ask whether two people are in one family account; by identity number, which is what the insurer knows them by."""
    return {
        "orgCodg": org_code,
        "idType": patient.id_type,
        "idNo": patient.id_number,
        "payerIdType": payer.id_type,
        "payerIdNo": payer.id_number,
    }


def related(told: Mapping[str, Any], payer: Insured, patient: Insured) -> bool:
    """The answer, if it is about these two.

    Raises:
        Unknown: about somebody else, or neither yes nor no.
    """
    if (told.get("idNo"), told.get("payerIdNo")) != (patient.id_number, payer.id_number):
        raise Unknown("insurance: the answer is about other people")
    said = {"1": True, "0": False}.get(str(told.get("familyFlag")))
    if said is None:
        raise Unknown("insurance: neither yes nor no")
    return said
