// The made-up WeChat inside a page: what the real one injects, for frames of the stage and for journeys.
// Placeholders in double braces are filled by the server: words, the person's openid, our own address.
(() => {
  const here = {{base}}, openid = {{openid}}, words = {{words}};
  const post = async (body, till = "/control/pay") =>
    (await fetch(here + till, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    })).json();

  const sheet = (shown) => new Promise((decide) => {
    const host = document.createElement("div");
    host.id = "wechat-sheet";
    host.setAttribute("role", "dialog");
    host.setAttribute("aria-label", words.title);
    const root = host.attachShadow({ mode: "open" });
    // No markup and no style tag: the page's own policy (Trusted Types, no inline style) holds for us too.
    const css = new CSSStyleSheet();
    css.replaceSync(
      ".s{position:fixed;inset:auto 0 0 0;z-index:99999;background:#fff;padding:20px 16px 28px;" +
      "font:17px/1.5 system-ui,sans-serif;color:#111;text-align:center;border-radius:12px 12px 0 0}" +
      ".v{position:fixed;inset:0;z-index:99998;background:rgba(0,0,0,.5)}.a{font-size:34px;font-weight:600}" +
      "button{display:block;width:100%;padding:12px;margin-top:12px;border:0;border-radius:8px;font:inherit}" +
      ".p{background:#018942;color:#fff}.n{color:#666;font-size:14px}");
    root.adoptedStyleSheets = [css];
    const make = (tag, name, into) => {
      const made = document.createElement(tag);
      made.className = name;
      into.append(made);
      return made;
    };
    make("div", "v", root);
    const box = make("div", "s", root);
    for (const [tag, name] of [["div", "d"], ["div", "a"], ["button", "p"], ["button", "l"], ["p", "n"]]) make(tag, name, box);
    root.querySelector(".d").textContent = shown.description;
    root.querySelector(".a").textContent = "¥" + shown.amount;
    root.querySelector(".p").textContent = words.pay;
    root.querySelector(".l").textContent = words.leave;
    root.querySelector(".n").textContent = words.note;
    const done = (yes) => { host.remove(); decide(yes); };
    root.querySelector(".p").onclick = () => done(true);
    root.querySelector(".l").onclick = () => done(false);
    document.body.append(host);
    root.querySelector(".p").focus();
  });

  // Name of the call -> where it is paid, and how its answers begin.
  const tills = {
    getBrandWCPayRequest: ["/control/pay", "get_brand_wcpay_request"],
    requestMedicalInsurancePay: ["/control/mix/pay", "requestMedicalInsurancePay"],
  };
  const request = async (params, [till, says]) => {
    const shown = await post({ preview: true, params }, till);
    if (!shown.amount) return { err_msg: says + ":fail", reason: shown.reason };
    if (!(await sheet(shown))) return post({ cancel: true }, till);
    return post({ openid, params }, till);
  };

  window.WeixinJSBridge = {
    invoke(name, params, callback) {
      if (!tills[name]) return callback({ err_msg: name + ":fail" });
      request(params, tills[name]).then(callback, () => callback({ err_msg: tills[name][1] + ":fail" }));
    },
    on() {}, call() {},
  };
  document.dispatchEvent(new Event("WeixinJSBridgeReady"));
})();
