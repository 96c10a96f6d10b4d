// Inside WeChat: scan with its camera, close its window, and no sharing of pages that are somebody's own.
// Where WeChat signs nothing the page serves without these.
(() => {
  if (!window.wx) return;
  const all = [...document.querySelectorAll('[data-wx]')];
  const calls = { scan: () => wx.scanQRCode({ needResult: 0 }), close: () => wx.closeWindow() };
  fetch(`/api/wechat/page?url=${encodeURIComponent(location.href.split('#')[0])}`).then((a) => a.json()).then((signed) => {
    if (!signed.signature) return;
    wx.ready(() => {
      wx.hideAllNonBaseMenuItem();
      for (const b of all) { b.hidden = false; b.onclick = calls[b.dataset.wx]; }
    });
    wx.config({ ...signed, jsApiList: ['scanQRCode', 'closeWindow', 'hideAllNonBaseMenuItem'] });
  }).catch(() => {});
})();
