"""The made-up WeChat's own payment sheet, in a real browser."""

from typing import Any

import pytest
from playwright.async_api import async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from payments.ports import MixEnd, TradeState
from sandbox.keys import SandboxKeys
from tests.adapters.mix_stand import a_mix_stand
from tests.adapters.pay_stand import MOTHER, Stand
from tests.pwa.browser import ARGS, CHROMIUM

PAY = """params => new Promise(done => WeixinJSBridge.invoke("getBrandWCPayRequest", params, done))"""


@pytest.mark.browser
async def test_the_sheet_asks_before_it_pays(stand: Stand, serving: Any) -> None:
    """A page on another origin calls the bridge: the sheet shows amount and payee; 先不付 cancels, 付款 pays."""
    order = stand.order()
    params = dict((await stand.pay.create(order)).client_params)
    script = f"{stand.settings.base_url}/control/bridge.js?openid={MOTHER}"

    async def page_of_ours(_: Request) -> Response:
        return HTMLResponse(f"<!doctype html><title>bill</title><body><script src='{script}'></script></body>")

    async with serving(Starlette(routes=[Route("/", page_of_ours)])) as ours, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(ours)
        answers = []
        for button in ("先不付", "付款"):
            await page.evaluate(f"params => {{ window.answer = ({PAY})(params) }}", params)
            await page.get_by_text("¥77.60").wait_for()
            assert await page.get_by_text("后付演示医院 就诊费").is_visible()
            await page.get_by_role("button", name=button).click()
            answers.append(await page.evaluate("() => window.answer"))
        await browser.close()
    assert answers == [{"err_msg": "get_brand_wcpay_request:cancel"}, {"err_msg": "get_brand_wcpay_request:ok"}]
    assert (await stand.pay.query(order.out_trade_no)).trade_state is TradeState.SUCCESS
    assert len(stand.world.books.dump()["payments"]) == 1


@pytest.mark.browser
async def test_the_sheet_names_both_parts(world_keys: SandboxKeys, clock: Any, serving: Any) -> None:
    """Insurance and cash at one press: the sheet says how much of each before anything is taken."""
    async with a_mix_stand(world_keys, clock, serving) as stand:
        bill = await stand.bill()
        params = dict((await stand.mix.create(bill.order)).client_params)
        script = f"{stand.pay.line.settings.base_url}/control/bridge.js?openid=oFather"

        async def page_of_ours(_: Request) -> Response:
            return HTMLResponse(f"<!doctype html><title>bill</title><body><script src='{script}'></script></body>")

        async with serving(Starlette(routes=[Route("/", page_of_ours)])) as ours, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
            page = await browser.new_page(viewport={"width": 390, "height": 844})
            await page.goto(ours)
            insured = PAY.replace("getBrandWCPayRequest", "requestMedicalInsurancePay")
            await page.evaluate(f"params => {{ window.answer = ({insured})(params) }}", params)
            await page.get_by_text("¥200.00").wait_for()
            assert await page.get_by_text("医保 ¥175.00，微信 ¥25.00").is_visible()
            await page.get_by_role("button", name="付款").click()
            answer = await page.evaluate("() => window.answer")
            await browser.close()
        assert answer == {"err_msg": "requestMedicalInsurancePay:ok"}
        assert (await stand.mix.query(bill.order.out_trade_no)).concludes is MixEnd.WHOLE
