// Reading the letter: tell the server every three seconds that it is on screen; the server's clock decides.
(() => {
  const root = document.querySelector('[data-beat]');
  if (root) {
    const button = document.getElementById('agree');
    const bar = document.getElementById('read');
    const words = document.getElementById('left');
    const end = document.getElementById('end');
    let left = Number(root.dataset.left), seen = !end;
    const total = Number(root.dataset.total) || 1;
    const regions = new Set();
    const show = () => {
      const ready = left <= 0 && seen;
      bar.value = Math.max(0, total - Math.max(0, left));
      words.firstElementChild.textContent = ready ? root.dataset.ready : (left > 0 ? root.dataset.wait.replace('{n}', Math.ceil(left)) : root.dataset.scroll);
      if (String(ready) === button.getAttribute('aria-disabled')) {
        button.setAttribute('aria-disabled', String(!ready));
        document.getElementById('say').textContent = words.firstElementChild.textContent;
      }
    };
    const watch = new IntersectionObserver((rows) => {
      for (const r of rows) if (r.isIntersecting) r.target === end ? seen = true : regions.add(r.target.dataset.region);
      show();
    });
    document.querySelectorAll('[data-region]').forEach((e) => watch.observe(e));
    if (end) watch.observe(end);
    const beat = async () => {
      if (document.hidden || (left <= 0 && seen && root.dataset.told)) return;
      // Without a network the server counts again from the next beat.
      try {
        const body = new URLSearchParams({ _csrf: root.dataset.csrf, end: seen ? '1' : '0', regions: [...regions].join(',') });
        const answer = await fetch(root.dataset.beat, { method: 'POST', body, headers: { Accept: 'application/json' } });
        if (answer.ok) { left = (await answer.json()).left; if (left <= 0 && seen) root.dataset.told = '1'; show(); }
      } catch {}
    };
    setInterval(beat, 3000);
    setInterval(() => { if (!document.hidden && left > 0) { left -= 1; show(); } }, 1000);
    button.addEventListener('click', (e) => { if (button.getAttribute('aria-disabled') === 'true') e.preventDefault(); });
    show();
  }

  const canvas = document.querySelector('canvas.pad');
  if (!canvas) return;
  const dialog = canvas.closest('dialog'), form = canvas.closest('form');
  const pad = new SignaturePad(canvas, { minWidth: 1, maxWidth: 3.2, penColor: '#111' });
  const fit = () => {
    const scale = Math.max(devicePixelRatio || 1, 1), data = pad.toData();
    canvas.width = canvas.offsetWidth * scale; canvas.height = canvas.offsetHeight * scale;
    canvas.getContext('2d').scale(scale, scale);
    pad.clear(); pad.fromData(data);
  };
  const count = document.getElementById('strokes-said');
  const tell = () => { count.textContent = count.dataset.text.replace('{n}', pad.toData().length); };
  pad.addEventListener('endStroke', tell);
  addEventListener('resize', fit);
  document.querySelectorAll('[data-open]').forEach((b) => b.addEventListener('click', () => setTimeout(fit)));
  document.querySelectorAll('[data-pad]').forEach((e) => { e.hidden = false; });
  document.getElementById('again').addEventListener('click', () => { pad.clear(); tell(); });
  form.addEventListener('submit', (e) => {
    if (pad.isEmpty()) { e.preventDefault(); count.textContent = count.dataset.empty; return; }
    const start = pad.toData()[0].points[0].time;
    form.elements.strokes.value = JSON.stringify(pad.toData().map((s) => s.points.map((p) => [+p.x.toFixed(1), +p.y.toFixed(1), p.time - start, +(p.pressure || 0).toFixed(2)])));
    form.elements.box.value = `${canvas.offsetWidth}x${canvas.offsetHeight}`;
  });
})();
