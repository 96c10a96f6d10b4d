// Keep what was last seen, so that the pass, the bill and the guide open without a network.
// Never touches anything but GET of pages and hashed files: no POST, no stream, no API.
const STATIC = 'static-__BUILD__';
const PAGES = 'pages-1';
const WAIT = 2500;
const FIRST_KEPT = /^\/visits\/[^/]+\/pass$|^\/visits\/[^/]+\/pass\/kept\.png$/;
const FIRST_FRESH = /^\/$|^\/visits(\/[^/]+\/(bill|guide|ways))?$/;
const GUIDE = /^\/visits\/[^/]+\/guide$/;

self.addEventListener('install', (e) => {
  e.waitUntil(caches.open(STATIC).then((c) => c.addAll([...__FILES__, '/offline'])).then(() => self.skipWaiting()));
});
self.addEventListener('activate', (e) => {
  e.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((n) => n !== STATIC && n !== PAGES).map((n) => caches.delete(n))))
    .then(() => self.clients.claim()));
});

const timeout = (ms) => new Promise((_, no) => setTimeout(no, ms));
async function fetchAndKeep(request) {
  const answer = await fetch(request);
  const type = answer.headers.get('Content-Type') || '';
  // Somebody else's visit is not kept, and what was kept of one that is shut now goes.
  if (answer.headers.has('X-Keep') || answer.status === 404) await (await caches.open(PAGES)).delete(request.url);
  else if (answer.ok && !answer.redirected && /text\/html|image\/png/.test(type)) {
    await (await caches.open(PAGES)).put(request.url, answer.clone());
  }
  if (answer.status === 401 || answer.redirected) await caches.delete(PAGES);
  return answer;
}
// The page carries its own "saved at" line, hidden; a kept copy shows it.
async function aged(kept) {
  if (!(kept.headers.get('Content-Type') || '').includes('text/html')) return kept;
  const html = (await kept.text()).replace('<p id="age" class="age" role="status" hidden>', '<p id="age" class="age" role="status">');
  return new Response(html, { headers: kept.headers });
}
async function offline(request) {
  const kept = await caches.match(request.url, { cacheName: PAGES });
  if (kept) return aged(kept);
  return (await caches.match('/offline')) || Response.error();
}
async function keptFirst(e) {
  const kept = await caches.match(e.request.url, { cacheName: PAGES });
  const fresh = fetchAndKeep(e.request);
  if (!kept) return fresh.catch(() => offline(e.request));
  e.waitUntil(fresh.catch(() => {}));
  return navigator.onLine ? kept : aged(kept);
}
// With the guide come the ways between all its places, so that they are there in the lift; unchanged ones cost nothing.
async function alsoWays(fresh, url) {
  const answer = await fresh;
  if (answer.ok && !answer.redirected) await fetchAndKeep(new Request(url, { headers: { Accept: 'text/html' } }));
}
function fetchAll(e) {
  const fresh = fetchAndKeep(e.request);
  const url = new URL(e.request.url);
  if (GUIDE.test(url.pathname)) e.waitUntil(alsoWays(fresh, url.href.replace(/guide(?=[?]|$)/, 'ways')).catch(() => {}));
  return fresh;
}
async function freshFirst(e) {
  const fresh = fetchAll(e);
  const kept = await caches.match(e.request.url, { cacheName: PAGES });
  try {
    return await (kept ? Promise.race([fresh, timeout(WAIT)]) : fresh);
  } catch {
    e.waitUntil(fresh.catch(() => {}));
    return offline(e.request);
  }
}

self.addEventListener('fetch', (e) => {
  const { request } = e;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  if ((request.headers.get('Accept') || '').includes('text/event-stream')) return;
  if (request.headers.has('HX-Request')) {
    // A guide that stands open all day renews itself when a step is news; what is kept is renewed with it.
    if (GUIDE.test(url.pathname)) e.respondWith(fetchAll(e));
    return;
  }
  if (url.pathname.startsWith('/api/')) return;
  if (url.pathname.startsWith('/static/')) {
    e.respondWith(caches.match(request).then((hit) => hit || fetch(request)));
  } else if (FIRST_KEPT.test(url.pathname)) {
    e.respondWith(keptFirst(e));
  } else if (FIRST_FRESH.test(url.pathname)) {
    e.respondWith(freshFirst(e));
  } else if (request.mode === 'navigate') {
    e.respondWith(fetch(request).catch(() => offline(request)));
  }
});
self.addEventListener('push', (e) => {
  const note = e.data ? e.data.json() : {};
  if (note.title) e.waitUntil(self.registration.showNotification(note.title, { body: note.body, tag: note.tag, data: note.url, icon: '/static/icon-192.png' }));
});
self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  const url = new URL(e.notification.data || '/', location.origin);
  if (url.origin !== location.origin) return;
  e.waitUntil(self.clients.matchAll({ type: 'window' }).then((all) => {
    const open = all.find((c) => c.url === url.href);
    return open ? open.focus() : self.clients.openWindow(url.href);
  }));
});
