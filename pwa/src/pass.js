// The live pass: a fresh picture every few seconds; when that fails the kept one, and the page says so.
for (const img of document.querySelectorAll('img[data-renew]')) {
  const at = (id) => document.getElementById(id);
  const grade = (live) => { at('pass-live').hidden = !live; at('pass-kept').hidden = live; };
  const fallBack = () => { img.src = img.dataset.kept; grade(false); };
  const renew = () => {
    if (document.hidden) return;
    // A phone that says it is connected may still wait a minute for nothing: then, too, the kept one.
    const fresh = new Image(), late = setTimeout(fallBack, 2500);
    fresh.onload = () => { clearTimeout(late); img.src = fresh.src; grade(true); };
    fresh.onerror = () => { clearTimeout(late); fallBack(); };
    fresh.src = `${img.dataset.live}?t=${Date.now()}`;
  };
  if (!navigator.onLine || (img.complete && !img.naturalWidth)) renew();
  else setTimeout(() => { if (!img.naturalWidth) fallBack(); }, 2500);
  setInterval(renew, img.dataset.renew * 1000);
  document.addEventListener('visibilitychange', renew);
}
