// The stage: keys for play and next; the buttons are plain forms.
(() => {
  // A frame moves only when the stage itself has a new page for it, never because the hand in it went elsewhere.
  document.addEventListener('htmx:after:swap', () => {
    document.querySelectorAll('#lead [data-frame]').forEach((wanted, n) => {
      const frame = document.querySelectorAll('iframe')[n];
      if (frame && frame.dataset.src !== wanted.dataset.frame) frame.src = frame.dataset.src = wanted.dataset.frame;
    });
  });
  document.addEventListener('keydown', (e) => {
    const key = { ' ': 'play', ArrowRight: 'next' }[e.key];
    const button = key && document.querySelector(`[data-key="${key}"]`);
    if (button && !e.target.matches('input,select,button')) { e.preventDefault(); button.click(); }
  });
})();
