// The stage: keys for play and next; the buttons are plain forms.
(() => {
  document.addEventListener('keydown', (e) => {
    const key = { ' ': 'play', ArrowRight: 'next' }[e.key];
    const button = key && document.querySelector(`[data-key="${key}"]`);
    if (button && !e.target.matches('input,select,button')) { e.preventDefault(); button.click(); }
  });
})();
