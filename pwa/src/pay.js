// Hand a prepared payment to WeChat. Whatever WeChat answers, the server asks WeChat Pay itself; this only moves on.
// The page may draw its sheet anew meanwhile, so what is there is looked up when it is needed.
(() => {
  let begun = '';
  const find = (what) => document.querySelector(what);
  const invoke = () => {
    const sheet = find('[data-invoke]');
    if (!sheet) return;
    const { check, call } = sheet.dataset;
    begun = check;
    find('[data-pay-now]')?.setAttribute('aria-disabled', 'true');
    WeixinJSBridge.invoke(call || 'getBrandWCPayRequest', JSON.parse(sheet.dataset.invoke), (answer) => {
      const how = String(answer?.err_msg ?? '').split(':').pop();
      const said = ['ok', 'cancel'].includes(how) ? how : 'fail';
      location.replace(`${check}${check.includes('?') ? '&' : '?'}r=${said}`);
    });
  };
  const show = () => {
    const sheet = find('[data-invoke]'), button = find('[data-pay-now]');
    if (!sheet) return;
    if (button) button.hidden = false;
    document.querySelectorAll('[data-no-bridge]').forEach((e) => { e.hidden = true; });
    if (begun === sheet.dataset.check) button?.setAttribute('aria-disabled', 'true');
    else if (sheet.dataset.auto) invoke();
  };
  const ready = () => {
    document.addEventListener('click', (e) => {
      const button = e.target.closest?.('[data-pay-now]');
      if (!button) return;
      e.preventDefault();
      if (button.getAttribute('aria-disabled') !== 'true') invoke();
    });
    document.addEventListener('htmx:after:swap', show);
    show();
  };
  if (window.WeixinJSBridge) ready(); else document.addEventListener('WeixinJSBridgeReady', ready, { once: true });
})();
