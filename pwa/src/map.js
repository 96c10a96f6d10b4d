// The pictures of a way: one floor at a time, nearer and farther by buttons or two fingers, the words aloud. All of it
// is there without this file, too, as a list of floors.
(() => {
  const root = document.documentElement;
  root.classList.add('maps');
  root.classList.toggle('aloud', 'speechSynthesis' in window);
  const on = (type, f) => document.addEventListener(type, f);

  function turn(id) {
    const now = document.getElementById(id), all = now.parentNode;
    for (const map of all.querySelectorAll('.map')) map.classList.toggle('on', map === now);
    for (const chip of all.querySelectorAll('.chip')) {
      if (chip.dataset.to === id) chip.setAttribute('aria-current', 'true'); else chip.removeAttribute('aria-current');
    }
  }

  // What is shown of a floor: its box, in units of the picture. The first one is what the server thought fit.
  const box = (svg) => svg.getAttribute('viewBox').split(' ').map(Number);
  const fit = (svg) => (svg.dataset.fit ??= svg.getAttribute('viewBox')).split(' ').map(Number);
  function look(svg, x, y, wide) {
    const [fx, fy, fw, fh] = fit(svg);
    const w = Math.min(Math.max(wide, fw / 8), fw * 3), h = w * fh / fw;
    const within = (v, from, size, part) => Math.min(Math.max(v, from - fw), from + size + fw - part);
    svg.setAttribute('viewBox', [within(x, fx, fw, w), within(y, fy, fh, h), w, h].join(' '));
    svg.classList.toggle('deep', w < fw * 0.99);
  }
  // Nearer (times < 1) around a point that stays where it is.
  function zoom(svg, times, px, py) {
    const [x, y, w] = box(svg);
    look(svg, px - (px - x) * times, py - (py - y) * times, w * times);
  }
  // Where on the floor a finger is.
  function spot(svg, e) {
    const [x, y, w, h] = box(svg), at = svg.getBoundingClientRect();
    const unit = Math.max(w / at.width, h / at.height);
    return [x + w / 2 + (e.clientX - at.left - at.width / 2) * unit, y + h / 2 + (e.clientY - at.top - at.height / 2) * unit];
  }
  const middle = (svg) => { const [x, y, w, h] = box(svg); return [x + w / 2, y + h / 2]; };

  let moved = false;
  on('click', (e) => {
    const at = (q) => e.target.closest(q);
    const to = at('[data-to]'), by = at('[data-zoom]'), say = at('[data-say]'), svg = at('.map > svg');
    if (moved) { moved = false; e.preventDefault(); return; }
    if (to) { e.preventDefault(); turn(to.dataset.to); }
    else if (by) {
      const shown = by.closest('.floors').querySelector('.map.on > svg'), how = by.dataset.zoom;
      if (how === 'fit') look(shown, ...fit(shown)); else zoom(shown, how === 'in' ? 0.6 : 1 / 0.6, ...middle(shown));
    } else if (say) {
      if (speechSynthesis.speaking) { speechSynthesis.cancel(); return; }
      const speech = new SpeechSynthesisUtterance(say.dataset.say);
      speech.lang = 'zh-CN'; speech.rate = 0.85;
      speechSynthesis.speak(speech);
    } else if (svg?.matches('.deep')) {
      // Who cannot drag taps on what is to stand in the middle.
      const [x, y] = spot(svg, e), [, , w, h] = box(svg);
      look(svg, x - w / 2, y - h / 2, w);
    }
  });

  const fingers = new Map();
  on('pointerdown', (e) => {
    const svg = e.target.closest('.map > svg');
    // Two fingers make no click: what is tapped next, anywhere, counts.
    if (!fingers.size) moved = false;
    if (svg) fingers.set(e.pointerId, { svg, e });
  });
  on('pointermove', (e) => {
    const mine = fingers.get(e.pointerId);
    if (!mine) return;
    const { svg } = mine, far = Math.hypot(e.clientX - mine.e.clientX, e.clientY - mine.e.clientY);
    if (!moved && far < 6) return;
    const other = [...fingers.values()].find((f) => f !== mine && f.svg === svg);
    const [x0, y0] = spot(svg, mine.e), [x, y] = spot(svg, e), [bx, by, w] = box(svg);
    if (other) {
      const apart = (f) => Math.hypot(f.clientX - other.e.clientX, f.clientY - other.e.clientY) || 1;
      zoom(svg, apart(mine.e) / apart(e), ...spot(svg, other.e));
    } else if (svg.matches('.deep')) look(svg, bx + x0 - x, by + y0 - y, w);
    moved = true;
    mine.e = e;
  });
  for (const type of ['pointerup', 'pointercancel']) on(type, (e) => { fingers.delete(e.pointerId); });
})();
