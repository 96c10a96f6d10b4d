"""What our line to the insurance's payment centre makes of its misbehaviour: the right error, nothing done twice."""

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.insurance import InsuranceClient, Province, UserQuerySettings
from kernel.outside import NotConfigured, OutsideError, Rejected, Throttled, Unknown
from payments.ports import (
    Conclusion,
    InsuranceRefundStatus,
    InsuranceState,
    InsuranceStatus,
    RefundKind,
    UnbalancedSplit,
)
from sandbox import insurance as sandbox
from tests.adapters.insurance_stand import KEYS, Stand, a_stand, patient_guard, refund_of

UNKNOWN = ["down", "error_before", "error_after", "garbage", "bad_signature", "unsure", "old"]
FORGED = ["wrong_user_id", "wrong_key", "tamper", "unsigned"]


@pytest.fixture
async def stand(clock: Any, serving: Any) -> AsyncIterator[Stand]:
    async with a_stand(clock, serving) as made:
        yield made


async def provoked(stand: Stand, on: str, dos: list[str], call: Callable[[], Awaitable[Any]]) -> list[OutsideError]:
    """Each misbehaviour in turn; every one must end in Unknown, and none may act later."""
    seen: list[OutsideError] = []
    for do in dos:
        stand.behave(on, do)
        with pytest.raises(Unknown) as caught:
            await call()
        assert [rule.left for rule in stand.world.behaviour.rules] == [0], do
        stand.world.behaviour.forget()
        seen.append(caught.value)
    return seen


async def test_an_upload_that_stays_unknown(stand: Stand) -> None:
    """However the answer is lost, handing in the same bill again finds the one order."""
    fees = stand.fees(pay_auth_no=(await stand.auth()).pay_auth_no)
    await provoked(stand, "upload", UNKNOWN, lambda: stand.client.upload(fees))
    credential = await stand.client.upload(fees)
    assert list(stand.world.books.orders) == [credential.pay_order_id]


async def test_an_order_that_stays_unknown(stand: Stand) -> None:
    """Amounts that do not add up, another's order, lost answers: Unknown; the reckoning happens once."""
    fees, credential = await stand.uploaded()
    order = stand.order(fees, credential)
    wrong = await provoked(
        stand, "place", [*UNKNOWN, "other_order", "wrong_amounts"], lambda: stand.client.place(order)
    )
    assert isinstance(wrong[-1], UnbalancedSplit)
    await stand.client.place(order)
    assert stand.world.books.orders[credential.pay_order_id].history == [0, 1]


async def test_a_question_that_stays_unknown(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """No forged, old, foreign or broken answer is believed; and no error or log line carries a secret or a name."""
    caplog.set_level(logging.DEBUG)
    fees, credential = await stand.uploaded()

    async def ask() -> InsuranceState:
        return await stand.client.query(credential, fees.insured)

    seen = await provoked(stand, "query", [*UNKNOWN, *FORGED, "other_order"], ask)
    stand.behave("query", "throttle")
    with pytest.raises(Throttled):
        await ask()
    with pytest.raises(Rejected) as refused:
        await stand.client.query(replace(credential, pay_token="another"), fees.insured)
    told = "".join("".join(traceback.format_exception(e)) + repr(e) for e in (*seen, refused.value))
    told += caplog.text + repr((fees, credential, stand.order(fees, credential), stand.settings, stand.client))
    secrets = (credential.pay_token, fees.pay_auth_no, fees.insured.name, fees.insured.id_number)
    for secret in (*secrets, KEYS.app_secret, KEYS.private_key, KEYS.partner_secret):
        assert secret not in told
    assert (await ask()).status is InsuranceStatus.SAVED


async def test_a_family_account_that_stays_unknown(stand: Stand) -> None:
    """Silence, noise and forgeries are neither yes nor no; and no province is asked that has no such question."""
    father, daughter = stand.insured(), stand.insured("oDaughter")
    await provoked(stand, "family", [*UNKNOWN, *FORGED], lambda: stand.client.family_account(daughter, father))
    assert await stand.client.family_account(daughter, father)
    stand.client._settings = replace(stand.settings, family_path="")
    with pytest.raises(NotConfigured):
        await stand.client.family_account(daughter, father)


async def test_a_revocation_and_a_refund_that_stay_unknown(stand: Stand) -> None:
    """Repeated after every kind of lost answer, each happens once."""
    fees, credential = await stand.uploaded()
    await provoked(stand, "revoke", UNKNOWN, lambda: stand.client.revoke(credential, fees.insured))
    await stand.client.revoke(credential, fees.insured)
    assert stand.world.books.orders[credential.pay_order_id].history == [0, 12]
    fees, credential, split = await stand.placed(("A1", 20000))
    await stand.move(credential, "pay", "cash")
    refund = refund_of(fees, credential, split, RefundKind.ALL)
    await provoked(stand, "refund", [*UNKNOWN, "other_order"], lambda: stand.client.refund(refund))
    assert (await stand.client.refund(refund)).status is InsuranceRefundStatus.SUCCESS
    books = await stand.books()
    assert [(r["insurance"], r["cash"]) for r in books["refunds"]] == [(17500, 2500)]
    assert books["sums"]["accounts"] == books["sums"]["opened"]


async def test_silence_ends_in_time(stand: Stand, clock: Any) -> None:
    """Before or after the change: our deadline ends the waiting, and asking again tells which it was."""
    fees, credential, split = await stand.placed(("A1", 20000))
    async with InsuranceClient(stand.settings, clock, patient_guard(1.0)) as hasty:
        stand.behave("query", "silent", seconds=1.5)
        with pytest.raises(Unknown, match="no answer within 1 s"):
            await hasty.query(credential, fees.insured)
        await stand.move(credential, "pay", "cash")
        stand.behave("refund", "hang_after", seconds=1.5)
        with pytest.raises(Unknown):
            await hasty.refund(refund_of(fees, credential, split, RefundKind.ALL))
    assert (await stand.client.query(credential, fees.insured)).status is InsuranceStatus.REFUNDED
    stand.behave("query", "slow", seconds=0.1)
    assert (await stand.client.query(credential, fees.insured)).status is InsuranceStatus.REFUNDED


async def test_nobody_at_the_address(stand: Stand, clock: Any) -> None:
    """A refused connection is Unknown like any other silence."""
    async with InsuranceClient(replace(stand.settings, base_url="http://127.0.0.1:9"), clock) as client:
        with pytest.raises(Unknown, match="ConnectError"):
            await client.upload(stand.fees(ec_token="EC0"))


async def test_authorizations_that_cannot_be_believed(stand: Stand, clock: Any) -> None:
    """Both numbers or none, 500, no JSON: Unknown. A code used up by a lost answer is a definite no."""
    for do in ("both", "neither", "down", "error_after", "garbage"):
        stand.behave("auth", do)
        code = stand.code()
        with pytest.raises(Unknown) as caught:
            await stand.client.resolve_auth(code, "oFather")
        assert code not in "".join(traceback.format_exception(caught.value))
        if do == "error_after":
            with pytest.raises(Rejected, match="QRCODE_INVALID"):
                await stand.client.resolve_auth(code, "oFather")
    wrong = UserQuerySettings(stand.settings.base_url, KEYS.partner_id, "another")
    async with InsuranceClient(replace(stand.settings, user_query=wrong), clock) as stranger:
        with pytest.raises(Rejected, match="401"):
            await stranger.resolve_auth(stand.code(), "oFather")


async def test_a_stale_answer_shows_by_its_own_time(stand: Stand, clock: Any) -> None:
    """The centre may answer with an old state, well sealed: only its own time of the state tells, so ask again."""
    fees, credential, _ = await stand.placed()
    clock.move(minutes=1)
    await stand.move(credential, "pay")
    stand.behave("query", "stale")
    old = await stand.client.query(credential, fees.insured)
    new = await stand.client.query(credential, fees.insured)
    assert (old.status, new.status) == (InsuranceStatus.PRE_SETTLED, InsuranceStatus.SETTLED)
    assert old.status.concludes is None
    assert old.traced_at is not None
    assert new.traced_at is not None
    assert old.traced_at < new.traced_at


async def test_paid_is_not_for_ever(stand: Stand) -> None:
    """Insurance paid, then failed: with the cash taken 16, without it 15; the accounts have their money again."""
    ends = []
    for steps in (("pay", "cash", "fail"), ("pay", "fail"), ("pay", "reverse"), ("cash", "fail")):
        fees, credential, split = await stand.placed(("A1", 20000))
        await stand.move(credential, *steps)
        state = await stand.client.query(credential, fees.insured)
        ends.append((state.status.value, state.status.concludes, split.cash_fen))
    never = Conclusion.NEVER_PAID
    assert ends == [(16, never, 2500), (15, never, 2500), (13, Conclusion.GIVEN_BACK, 2500), (16, never, 2500)]
    books = await stand.books()
    assert (books["sums"]["fund_paid"], books["sums"]["accounts"]) == (0, books["sums"]["opened"])
    cash = refund_of(fees, credential, split, RefundKind.CASH)
    assert (await stand.client.refund(cash)).status is InsuranceRefundStatus.SUCCESS
    assert (await stand.client.query(credential, fees.insured)).status is InsuranceStatus.FAILED


async def test_a_refund_nobody_knows_about(stand: Stand) -> None:
    """EXP proves nothing, 17 proves nothing; decided by a person, the same number tells the end."""
    fees, credential, split = await stand.placed()
    await stand.move(credential, "pay")
    failed = refund_of(fees, credential, split, RefundKind.INSURANCE, refund_number="RFAIL")
    stand.behave("refund", "fail")
    assert (await stand.client.refund(failed)).status is InsuranceRefundStatus.FAILED
    refund = replace(failed, refund_number="REXP")
    stand.behave("refund", "exp")
    assert (await stand.client.refund(refund)).status is InsuranceRefundStatus.EXCEPTION
    state = await stand.client.query(credential, fees.insured)
    assert (state.status.value, state.status.concludes) == (17, None)
    with pytest.raises(Rejected, match="NOT_PAID"):
        await stand.client.refund(replace(refund, refund_number="RSECOND"))
    assert await stand.post("/control/refund", {"appRefdSn": "REXP", "success": True}) == {"status": "SUCC"}
    assert (await stand.client.refund(refund)).status is InsuranceRefundStatus.SUCCESS
    assert (await stand.client.query(credential, fees.insured)).status is InsuranceStatus.INSURANCE_REFUNDED
    assert (await stand.books())["sums"]["drawn"] == 0


async def test_abnormal_proves_nothing(stand: Stand) -> None:
    """14 neither pays nor fails, and an order in it is not reckoned again as if nothing were."""
    fees, credential, _ = await stand.placed()
    await stand.move(credential, "abnormal")
    state = await stand.client.query(credential, fees.insured)
    assert (state.status, state.status.concludes) == (InsuranceStatus.ABNORMAL, None)
    with pytest.raises(Unknown, match="status 14"):
        await stand.client.place(stand.order(fees, credential))


async def test_a_no_that_nobody_signed(clock: Any, serving: Any) -> None:
    """Unsigned refusals prove nothing, unless the province's settings say that its centre never signs them."""
    dialect = sandbox.Dialect(signs_refusals=False)
    for province, error in ((Province("x"), Unknown), (Province("y", unsigned_refusals=True), Rejected)):
        async with a_stand(clock, serving, dialect, province) as stand:
            with pytest.raises(error):
                await stand.client.upload(stand.fees(ec_token="EC0"))
            # An unsigned yes is none, whatever the settings.
            fees = stand.fees(pay_auth_no=(await stand.auth()).pay_auth_no)
            stand.behave("upload", "unsigned")
            with pytest.raises(Unknown):
                await stand.client.upload(fees)


async def test_the_centre_s_codes_become_ours(clock: Any, serving: Any) -> None:
    """A province's table translates the refusals somebody reacts to."""
    province = Province("x", reasons={"EC_TOKEN_INVALID": "AUTHORIZATION_OVER"})
    async with a_stand(clock, serving, None, province) as stand:
        with pytest.raises(Rejected, match=r"^AUTHORIZATION_OVER$"):
            await stand.client.upload(stand.fees(ec_token="EC0"))


async def test_a_badly_signed_no_is_none_either(clock: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where unsigned refusals count, one with a broken signature still does not."""
    async with a_stand(clock, serving, None, Province("x", unsigned_refusals=True)) as stand:
        forged = {"code": "INSURANCE_PAID", "appId": KEYS.app_id, "signData": "AAAA"}
        monkeypatch.setattr(stand.world, "refusal", lambda *_: forged)
        with pytest.raises(Unknown):
            await stand.client.upload(stand.fees(ec_token="EC0"))
