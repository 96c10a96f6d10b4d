// Hand a prepared payment to WeChat. Whatever WeChat answers, the server asks WeChat Pay itself; this only moves on.
(() => {
  const sheet = document.querySelector('[data-invoke]');
  if (!sheet) return;
  const button = document.querySelector('[data-pay-now]');
  const go = (how) => { location.replace(`${sheet.dataset.check}?r=${how}`); };
  const invoke = () => {
    button?.setAttribute('aria-disabled', 'true');
    WeixinJSBridge.invoke('getBrandWCPayRequest', JSON.parse(sheet.dataset.invoke), (answer) => {
      const how = String(answer?.err_msg ?? '').split(':').pop();
      go(['ok', 'cancel'].includes(how) ? how : 'fail');
    });
  };
  const ready = () => {
    if (button) { button.hidden = false; button.addEventListener('click', (e) => { e.preventDefault(); invoke(); }); }
    document.querySelectorAll('[data-no-bridge]').forEach((e) => { e.hidden = true; });
    if (sheet.dataset.auto) invoke();
  };
  if (window.WeixinJSBridge) ready(); else document.addEventListener('WeixinJSBridgeReady', ready, { once: true });
})();
