// The desk's scanner types like a keyboard: whatever is typed lands in the scan field; arrows walk the list.
(() => {
  const scan = document.getElementById('scan');
  if (!scan) return;
  const rows = () => [...document.querySelectorAll('tbody tr')].map((r) => r.querySelector('button,a')).filter(Boolean);
  // In a frame of another page the focus is not ours to take.
  const alone = window.top === window;
  if (alone) scan.focus();
  document.addEventListener('keydown', (e) => {
    const typing = e.target.matches('input,textarea,select');
    if (e.key === 'Escape') { scan.focus(); scan.select(); return; }
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      const list = rows(), at = list.indexOf(document.activeElement);
      const next = list[at + (e.key === 'ArrowDown' ? 1 : -1)];
      if (next || at === 0) { e.preventDefault(); (next ?? scan).focus(); }
      return;
    }
    if (!typing && e.key.length === 1 && !e.ctrlKey && !e.metaKey && !e.altKey && e.key !== ' ') scan.focus();
  });
  document.addEventListener('htmx:after:swap', () => { if (alone && document.activeElement === document.body) scan.focus(); });
})();
