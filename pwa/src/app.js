// What the pages do beyond plain HTML. Every page works without this file; it only makes things quicker and calmer.
(() => {
  const policy = window.trustedTypes?.createPolicy('app', {
    createHTML: (s) => s,
    createScriptURL: (s) => { if (s !== '/sw.js') throw new TypeError('no such script'); return s; },
  }) ?? { createHTML: (s) => s, createScriptURL: (s) => s };
  class NoEval { constructor() { throw new Error('eval is not allowed'); } }
  htmx.registerExtension('tt', { init: (api) => api.initSecurity(policy, NoEval, NoEval) });

  // A timer of the page outlives the parts that wait for it, which may be replaced meanwhile.
  const due = {}, shown = {};
  const soon = (type, ms, to = document.body) => { clearTimeout(due[type]); due[type] = setTimeout(() => htmx.trigger(to, type), ms); };
  // What got no answer is asked again; not by all phones at once, which would add to the hospital's trouble.
  const again = ({ sourceEvent: e, sourceElement }) => { if (e instanceof CustomEvent && e.target !== sourceElement) soon(e.type, 5000 * Math.random(), e.target); };

  // A part that asks for itself is replaced by the answer: what was asked meanwhile is for its successor, and what was
  // asked earlier never replaces what was asked later, nor what the answer to an act says.
  let turn = 0;
  htmx.registerExtension('turns', {
    htmx_before_request: (_, { ctx }) => { ctx.turn = turn += 1; },
    htmx_after_request: (_, { ctx }) => {
      const id = ctx.target?.id, asked = ctx.request.method === 'GET' ? ctx.turn : turn += 1;
      if (asked < shown[id]) ctx.status = 'late';
      else if (id && ctx.response.raw.ok) { shown[id] = asked; ctx.target = document.getElementById(id) ?? ctx.target; }
      else if (ctx.response.status >= 500) again(ctx);
    },
    htmx_error: (_, { ctx }) => { if (ctx) again(ctx); },
  });

  const $ = (q, from = document) => from.querySelector(q);
  const all = (q, from = document) => [...from.querySelectorAll(q)];
  const on = (type, f, to = document) => to.addEventListener(type, f);
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

  if ('serviceWorker' in navigator && !$('html').matches('[data-no-sw]')) {
    navigator.serviceWorker.register(policy.createScriptURL('/sw.js')).catch(() => {});
  }

  // The page says when it was made; the worker shows that line on a kept copy, we show it when the line drops.
  const age = $('#age');
  const kept = age && !age.hidden;
  const line = () => { if (age && !kept) age.hidden = navigator.onLine; if (kept && navigator.onLine) setTimeout(() => location.reload(), 1500); };
  on('offline', line, window); on('online', line, window);
  if (!navigator.onLine && age) age.hidden = false;

  // Live rows wait in #incoming; each goes to its list at the place its rank gives it, so a replay changes nothing.
  function place() {
    for (const row of all('#incoming > [data-list]')) {
      const list = document.getElementById(`list-${row.dataset.list}`);
      const old = list && all(`[id="${CSS.escape(row.id)}"]`).find((e) => e !== row);
      if (!list) { row.remove(); continue; }
      const details = old && $('details', old);
      if (details?.open && $('details', row)) $('details', row).open = true;
      const moved = !old || old.parentNode !== list;
      if (old?.contains(document.activeElement)) row.dataset.focus = '';
      old?.remove();
      const up = 'asc' in list.dataset ? -1 : 1;
      const next = [...list.children].find((e) => (row.dataset.rank - e.dataset.rank) * up > 0);
      list.insertBefore(row, next ?? null);
      if ('focus' in row.dataset) { $('summary,a,button', row)?.focus(); delete row.dataset.focus; }
      if (moved && !still) { row.classList.add('fresh'); on('animationend', (e) => { if (e.animationName === 'glow') row.removeAttribute('data-new'), row.classList.remove('fresh'); }, row); }
      htmx.trigger(document.body, `placed-${row.dataset.list}`);
    }
  }
  // One announcement per new fact: a replay after reconnecting repeats the same key and stays silent.
  let said = '';
  function announce() {
    const note = $('#note > [data-key]');
    if (!note || note.dataset.key === said) return;
    said = note.dataset.key;
    const say = $('#say');
    if (!say) return;
    say.textContent = note.textContent;
    if ('aloud' in note.dataset && $('html.elder')) aloud(heard = note.textContent);
    // Where the page itself has just changed to these words they are heard, and not shown a second time.
    say.classList.toggle('sr', all('.strip').some((e) => e !== say && e.textContent.trim() === say.textContent.trim()));
  }
  // What else a page offers (the receipt, leaving now) changes with these alone: then it is asked for.
  const offers = () => ['#payment', '#visit'].map((q) => $(q)?.textContent).join() + !$('#list-ordered > li');
  let offered = offers();
  const look = () => { if (offered !== (offered = offers())) htmx.trigger(document.body, 'offers'); };
  on('htmx:sse:after:message', () => { place(); announce(); htmx.trigger(document.body, 'news'); soon('calm', 300); look(); });
  on('htmx:sse:error', (e) => { if ([401, 403, 404, 410].includes(e.detail.status)) location.reload(); });
  on('htmx:sse:after:connection', () => all('[data-live]').forEach((e) => { e.hidden = false; }));
  on('htmx:sse:close', () => all('[data-live]').forEach((e) => { e.hidden = true; }));
  // A page that is already on its way to another one is not fetched back.
  let leaving = false;
  on('beforeunload', () => { leaving = true; setTimeout(() => { leaving = false; }, 8000); }, window);
  on('reload', () => { if (!leaving) location.reload(); }, document.body);
  on('htmx:after:request', (e) => { const { ctx } = e.detail; if (leaving && ctx.hx?.redirect) { e.preventDefault(); again(ctx); } });

  // 长辈版: switch at once, tell the server, then let it draw its own pages.
  on('submit', (e) => {
    const form = e.target;
    if (form.matches('[data-elder]')) {
      e.preventDefault();
      fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) }).finally(() => location.reload());
      $('html').classList.toggle('elder'); $('html').classList.toggle('s140');
    }
    // The key is stored before anything is sent, so a lost answer is asked for again under the same key.
    const once = form.dataset.once, key = form.elements._idem;
    if (once && key) {
      if (form.dataset.sent) { e.preventDefault(); return; }
      form.dataset.sent = '1';
      // In private mode the page's own key serves.
      try { sessionStorage.setItem(`once:${once}`, key.value); } catch {}
      setTimeout(() => { delete form.dataset.sent; }, 8000);
    }
  });
  for (const form of all('form[data-once]')) {
    try { const key = sessionStorage.getItem(`once:${form.dataset.once}`); if (key) form.elements._idem.value = key; } catch {}
  }
  const forget = () => all('[data-done]').forEach((e) => { try { sessionStorage.removeItem(`once:${e.dataset.done}`); } catch {} });
  forget(); on('htmx:after:swap', forget);

  // Read aloud: what the family says by itself in 长辈版 (where the browser waits for a tap, 再听一遍 is that tap).
  let heard = '';
  function aloud(text) {
    if (!window.speechSynthesis) return;
    const speech = new SpeechSynthesisUtterance(text);
    speech.lang = 'zh-CN'; speech.rate = 0.85;
    speechSynthesis.speak(speech);
    all('[data-again]').forEach((e) => { e.hidden = !heard; });
  }
  for (const button of all('[data-speak],[data-again]')) {
    if (!window.speechSynthesis) break;
    const again = 'again' in button.dataset;
    button.hidden = again;
    on('click', () => {
      if (speechSynthesis.speaking) { speechSynthesis.cancel(); return; }
      aloud(again ? heard : all('[data-read]').map((e) => e.innerText).join('。') || $('main').innerText);
    }, button);
  }

  on('click', (e) => {
    const b = e.target.closest('[data-open],[data-close],[data-share]');
    if (!b) return;
    if (b.dataset.open) { e.preventDefault(); document.getElementById(b.dataset.open)?.showModal(); }
    if ('close' in b.dataset) b.closest('dialog').close();
    if (b.dataset.share) navigator.share?.({ title: document.title, url: b.dataset.share }).catch(() => {});
  });
  for (const b of all('[data-print]')) { b.hidden = false; on('click', () => print(), b); }
  if (navigator.share) all('[data-share]').forEach((b) => { b.hidden = false; });
})();
