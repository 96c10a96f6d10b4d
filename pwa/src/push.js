// Let this browser be rung. Shown only where a browser can; everything else of the page works without it.
(() => {
  const button = document.querySelector('[data-push-key]'), says = document.querySelector('[data-no-push]');
  if (!button || !('PushManager' in window) || !('Notification' in window)) return;
  button.hidden = false;
  button.addEventListener('click', async () => {
    try {
      if (await Notification.requestPermission() !== 'granted') throw new Error('refused');
      const worker = await navigator.serviceWorker.ready;
      const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: button.dataset.pushKey });
      const { endpoint, keys } = made.toJSON();
      const body = JSON.stringify({ endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth } });
      const answer = await fetch(button.dataset.pushTo, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      if (!answer.ok) throw new Error(answer.status);
      says.textContent = button.dataset.done;
      button.hidden = true;
    } catch { says.textContent = button.dataset.refused; }
  });
})();
