// The made-up WeChat's page script: what the vendor's gives a page inside WeChat, as far as pages use it.
// Placeholders in double braces are filled by the server: our control, the person's openid, their WeChat's own page.
(() => {
  const control = {{base}}, account = {{account}};
  let settle, ready = new Promise((done) => { settle = done; }), allowed = [];
  const may = (name) => { if (!allowed.includes(name)) throw new Error(name + ":permission denied"); };
  window.wx = {
    config({ timestamp, nonceStr, signature, jsApiList }) {
      fetch(control + "/control/jssdk", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ url: location.href.split("#")[0], timestamp, nonceStr, signature }),
      }).then((a) => a.json()).then(({ ok }) => { if (ok) { allowed = jsApiList; settle(); } });
    },
    ready(done) { ready.then(done); },
    hideAllNonBaseMenuItem() { may("hideAllNonBaseMenuItem"); document.documentElement.dataset.unshared = ""; },
    scanQRCode() { may("scanQRCode"); location.href = account; },
    closeWindow() { may("closeWindow"); location.href = account; },
  };
})();
