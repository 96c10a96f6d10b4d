"""One receipt for a whole visit: several payers and rounds, every source, every line, what went back; and for whom."""

import io
from dataclasses import replace

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader
from sqlalchemy import update

from kernel.money import yuan
from payments.models import Refund
from payments.rules import Piece
from payments.service import rounds
from people.models import Grant
from people.rules import Depth
from pwa.receipt import Paper, merged_on_paper, receipt_html
from pwa.sample_receipts import MERGED
from tests.adapters.conftest import until
from tests.payments.conftest import DAUGHTER, MOTHER, PAGE, House
from tests.payments.test_insurance import insured
from tests.payments.test_pages import read
from tests.payments.test_pay_first import charges
from tests.payments.test_shares import money_back, pays


async def test_two_payers_and_a_second_round(house: House) -> None:
    """The daughter and the mother share the first bill, the mother pays what came later: one paper has all of it."""
    bill = await house.bill("CONS2")
    path = f"/visits/{bill.visit}/receipt"
    mother, daughter, son = (house.phone(a) for a in (house.mother, house.daughter, house.son))
    assert (await mother.get(path, headers=PAGE)).status_code == 404  # nothing is paid yet
    assert path not in await read(mother, f"/visits/{bill.visit}/bill")
    async with house.db.begin() as tx:
        await rounds.cut(tx, house.mother, bill.visit, [Piece(300)], bill.owed)
    await pays(house, house.daughter, DAUGHTER, bill, 1, 300)
    assert (await mother.get(path, headers=PAGE)).status_code == 404  # not the whole of any round
    await pays(house, house.mother, MOTHER, bill, 2, bill.owed - 300)
    later = await house.bill("URINE")
    await pays(house, house.mother, MOTHER, later, None, later.owed)
    assert "医院正在入账" in await read(mother, path)
    await house.settle()
    page = await read(mother, path)
    every = house.town.his.books.encounters.values()
    lines = [charge for encounter in every for charge in encounter.charges.values()]
    whole, cash = sum(c["amount_fen"] for c in lines), bill.owed + later.owed
    for words in (f"付好了，¥{yuan(cash)}", "您女儿 · 微信支付", f"¥{yuan(whole)}", *(c["name"] for c in lines)):
        assert words in page
    assert page.count("执行：") == len(lines)
    assert page.count("看这一笔") == 3
    # Who is told totals only: the payments, and no item, no part, no number of anybody's.
    hers = await read(daughter, path)
    assert f"¥{yuan(cash)}" in hers
    assert not any(c["name"] in hers for c in lines)
    assert "统筹" not in hers
    assert hers.count("看这一笔") == 1  # her own
    assert "看这一笔" not in await read(son, path)
    assert path in await read(mother, f"/visits/{bill.visit}/bill")
    assert path in await read(mother, "/visits")
    for phone in (mother, house.phone(house.counter)):
        for paper, size in (("a5", (148, 210)), ("58", (58, None)), ("80", (80, None))):
            answer = await phone.get(f"{path}.pdf?paper={paper}", timeout=60)
            assert answer.headers["content-type"] == "application/pdf"
            box = PdfFileReader(io.BytesIO(answer.content)).root["/Pages"]["/Kids"][0].get_object()["/MediaBox"]
            width, height = (round(float(box[n]) * 25.4 / 72) for n in (2, 3))
            assert width == size[0]
            assert size[1] in (None, height)
    assert (await mother.get(f"{path}.pdf?paper=a0")).status_code == 422


async def test_what_has_gone_back_stands_on_it(house: House) -> None:
    """A line the hospital takes back stays on the receipt, with the money that went back."""
    bill = await house.bill()
    await pays(house, house.mother, MOTHER, bill, None, bill.owed)
    await house.settle()
    [charge] = charges(house, bill.encounter, bill.orders[0])
    taken_back = {"charge_no": charge, "at": house.clock().isoformat()}
    house.town.his.books.record("charge.reversed", bill.encounter, taken_back)

    async def asked() -> bool:
        return await house.count(Refund) == 1

    await until(asked)
    mother, path = house.phone(house.mother), f"/visits/{bill.visit}/receipt"
    assert "正在退回" in await read(mother, path)
    await money_back(house, bill.visit, 1)
    fen = house.town.his.books.encounters[bill.encounter].charges[charge]["split"]["self_fen"]
    page = await read(mother, path)
    assert "已退回" in page
    assert f"-¥{yuan(fen)}" in page
    assert f"付好了，¥{yuan(bill.owed)}" in page


async def test_every_source_has_its_line(house: House) -> None:
    """Fund, own account, a relative's account and cash, as the insurance settled it; a watcher finds no receipt."""
    bill = await house.bill("URINE")
    own_account = house.town.his.catalogue.patients["P0000001"].id_number
    assert own_account is not None
    house.town.insurance.books.people[own_account].account = 100
    [part] = await insured(house, bill)
    assert part.mutual_aid_fen
    if part.cash_fen:
        await pays(house, house.mother, MOTHER, bill, None, part.cash_fen)
    page = await read(house.phone(house.mother), f"/visits/{bill.visit}/receipt")
    own = (part.account_fen or 0) - part.mutual_aid_fen
    shown = {"医保统筹基金": part.fund_fen, "医保个人账户": own, "家庭共济": part.mutual_aid_fen}
    for label, fen in shown.items():
        assert f'<span>{label}</span><span class="num">¥{yuan(fen or 0)}</span>' in page
    assert f"¥{yuan(part.total_fen)}" in page
    async with house.db.begin() as tx:
        who = Grant.person_id == house.daughter.id
        await tx.session.execute(update(Grant).where(who).values(kind="watch", depth=Depth.BILL))
    answer = await house.phone(house.daughter).get(f"/visits/{bill.visit}/receipt", headers=PAGE)
    assert answer.status_code == 404


@pytest.mark.parametrize("paper", Paper)
def test_every_paper_says_it_all(paper: Paper) -> None:
    """Every source and payer in the split, each payment's numbers, each line's trail; parts add up to the whole."""
    made = merged_on_paper(MERGED)
    assert made.whole_fen == sum(line.amount_fen for line in MERGED.lines)
    said = receipt_html(made, paper)
    for words in ("医保统筹基金", "家庭共济", "医院承担", "您女儿 · 微信支付", "您 · 现金", "合计", "后来退回"):
        assert words in said
    for one in MERGED.payments:
        assert one.number in said
        assert one.transaction in said
    assert said.count("开单：") == said.count("执行：") == len(MERGED.lines)
    assert "开单" not in receipt_html(merged_on_paper(replace(MERGED, lines=(), parts=())), paper)
