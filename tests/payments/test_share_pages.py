"""Sharing on the pages, without JavaScript: cut, told to everybody at once, paid one by one, and given up."""

import asyncio
import re

from kernel.ids import new_id
from kernel.money import yuan
from payments import flows
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, PAGE, SON, House
from tests.payments.test_pages import attempt_of, read
from tests.payments.test_told import line_of, pushed


async def test_cut_by_the_mother_paid_by_two(house: House) -> None:
    """She writes 4.00 for her daughter; the daughter's sheet is hers, the son's is the rest; the bill shows it live."""
    bill = await house.bill()
    mother, daughter, son = (house.phone(who) for who in (house.mother, house.daughter, house.son))
    assert "一起分摊" in await read(mother, f"/visits/{bill.visit}/pay")
    page = await read(mother, f"/visits/{bill.visit}/share")
    people = {str(who.id) for who in (house.mother, house.daughter, house.son)}
    assert set(re.findall(r'name="yuan_([0-9a-f-]{36})"', page)) == people
    heard, listening = list[str](), asyncio.Event()
    line = line_of(await read(daughter, f"/visits/{bill.visit}/bill"))
    task = asyncio.create_task(pushed(daughter, line, heard, listening))
    await asyncio.wait_for(listening.wait(), 20)
    form = {"left_fen": str(bill.owed), f"yuan_{house.daughter.id}": "4", f"yuan_{house.mother.id}": ""}
    answer = await mother.post(f"/visits/{bill.visit}/share", data=form, headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/visits/{bill.visit}/pay")

    async def told() -> bool:
        return any("各付各的" in text for text in heard)

    await until(told)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    rest = bill.owed - 400
    assert "付 ¥4.00" in await read(daughter, f"/visits/{bill.visit}/pay")
    assert f"付 ¥{yuan(bill.owed)}" in await read(daughter, f"/visits/{bill.visit}/pay?share=0")
    assert f"付 ¥{yuan(rest)}" in await read(son, f"/visits/{bill.visit}/pay?share=2")
    press = {"_idem": str(new_id()), "amount_fen": "400", "share": "1"}
    there = (await daughter.post(f"/visits/{bill.visit}/pay", data=press, headers=PAGE)).headers["location"]
    assert await house.bridge(attempt_of(there), DAUGHTER) == "ok"
    await house.until_state(attempt_of(there), "paid")
    waits = await read(daughter, there)
    assert "您这一份付好了" in waits
    assert re.search("您 <span[^>]*>付好了</span>.*¥4.00.*谁付都行 <span[^>]*>还没付</span>", waits, re.S)
    assert f'还差</span><span class="num">¥{yuan(rest)}' in waits
    shown = await read(mother, f"/visits/{bill.visit}/bill")
    assert re.search("您女儿 <span[^>]*>付好了</span>.*¥4.00", shown)
    assert f'去付款 <span class="num">¥{yuan(rest)}' in shown
    press = {"_idem": str(new_id()), "amount_fen": str(rest), "share": "2"}
    last = (await son.post(f"/visits/{bill.visit}/pay", data=press, headers=PAGE)).headers["location"]
    await house.bridge(attempt_of(last), SON)
    await house.until_state(attempt_of(last), "paid")
    await house.settle()
    assert "付好了，¥4.00" in await read(daughter, f"{there}/receipt")
    assert f'微信付（您儿子）</span><span class="num">¥{yuan(rest)}' in await read(mother, f"{there}/receipt")
    bill_now = await read(mother, f"/visits/{bill.visit}/bill")
    assert "都付清了" in bill_now
    assert "您儿子" in bill_now
    await house.balanced()


async def test_what_cannot_be_cut_is_said(house: House) -> None:
    """Too much, no number, an old amount: the page again, with what was written and why; nothing was begun."""
    bill = await house.bill()
    mother = house.phone(house.mother)
    for text, said in (("9999", "几份加起来不能超过"), ("四块", "金额要写成数字"), ("1.234", "金额要写成数字")):
        form = {"left_fen": str(bill.owed), f"yuan_{house.daughter.id}": text}
        answer = await mother.post(f"/visits/{bill.visit}/share", data=form, headers=PAGE)
        assert answer.status_code == 422
        assert said in answer.text
        assert f'value="{text}"' in answer.text
    form = {"left_fen": "1", f"yuan_{house.daughter.id}": "0.01"}
    answer = await mother.post(f"/visits/{bill.visit}/share", data=form, headers=PAGE)
    assert (answer.status_code, "金额变了" in answer.text) == (409, True)
    assert await house.states(bill.visit) == {"billable"}


async def test_given_up_on_the_page(house: House) -> None:
    """不分摊了 says who gets what back; afterwards everybody reads it, and the whole can be paid again."""
    bill = await house.bill()
    mother, daughter = house.phone(house.mother), house.phone(house.daughter)
    form = {"left_fen": str(bill.owed), f"yuan_{house.daughter.id}": "4.00"}
    await daughter.post(f"/visits/{bill.visit}/share", data=form, headers=PAGE)
    press = {"_idem": str(new_id()), "amount_fen": "400", "share": "1"}
    there = (await daughter.post(f"/visits/{bill.visit}/pay", data=press, headers=PAGE)).headers["location"]
    await house.bridge(attempt_of(there), DAUGHTER)
    await house.until_state(attempt_of(there), "paid")
    asked = await read(mother, f"/visits/{bill.visit}/share/stop")
    assert "您女儿付的 ¥4.00 会退回原来的账户" in asked
    assert (await house.phone(house.son).post(f"/visits/{bill.visit}/share/stop", headers=PAGE)).status_code == 403
    assert (await mother.post(f"/visits/{bill.visit}/share/stop", headers=PAGE)).status_code == 303
    assert "正在退回" in await read(daughter, there)
    await flows.refund_due(house.db, house.pay)
    assert yuan(bill.owed) in await read(mother, f"/visits/{bill.visit}/pay")
    await read(mother, f"/visits/{bill.visit}/share/stop", 409)


async def test_sharing_for_programs(house: House) -> None:
    """The same by JSON: who pays what is part of the bill, labels as each reader knows people."""
    bill = await house.bill()
    mother, son = house.phone(house.mother), house.phone(house.son)
    path = f"/api/visits/{bill.visit}"
    body = {"left_fen": bill.owed, "shares": [{"amount_fen": 400, "person_id": str(house.daughter.id)}]}
    assert (await mother.post(f"{path}/shares", json=body)).status_code == 204
    for phone, labels in ((mother, ["您女儿", "谁付都行"]), (son, ["女儿", "谁付都行"])):
        found = (await phone.get(path)).json()
        assert [s["label"] for s in found["round"]["shares"]] == labels
        assert found["sums"]["payable_fen"] == found["round"]["left_fen"] == bill.owed
    key = {"Idempotency-Key": str(new_id())}
    made = await son.post(f"{path}/payments", json={"amount_fen": bill.owed - 400, "share": 2}, headers=key)
    assert made.status_code == 201
    assert (await mother.get(path)).json()["sums"]["payable_fen"] == 400
    gone = await son.post(
        f"{path}/payments", json={"amount_fen": 1, "share": 9}, headers={"Idempotency-Key": str(new_id())}
    )
    assert (gone.status_code, gone.json()["code"]) == (409, "share_gone")
    assert (await mother.post(f"{path}/shares/give-up")).status_code == 204
    assert (await mother.get(path)).json()["round"] is None
    assert (await mother.get(path)).json()["sums"]["payable_fen"] == bill.owed
