// The mini-program in WeChat's simulator, and a made-up `wx` that a test sets up.
const path = require('path');
const { JSDOM } = require('jsdom');

const { window } = new JSDOM('<!doctype html><body></body>', { pretendToBeVisual: true });
for (const name of ['document', 'HTMLElement', 'Node', 'Element', 'Text', 'Event', 'CustomEvent', 'MutationObserver', 'navigator', 'TouchEvent', 'getComputedStyle']) {
  Object.defineProperty(globalThis, name, { value: window[name], configurable: true, writable: true });
}
globalThis.window = window;
const simulate = require('miniprogram-simulate');

const ROOT = path.join(__dirname, '..', '..', 'pwa', 'miniprogram');
const lib = (name) => require(path.join(ROOT, name));

// What the phone keeps, and everything the program asked WeChat for.
function phone(given = {}) {
  const kept = new Map(), asked = [];
  const note = (name) => (options) => { asked.push([name, options]); };
  globalThis.wx = {
    getStorageSync: (key) => kept.get(key) ?? '',
    setStorageSync: (key, value) => kept.set(key, value),
    removeStorageSync: (key) => kept.delete(key),
    arrayBufferToBase64: (bytes) => Buffer.from(bytes).toString('base64'),
    login: ({ success }) => success({ code: 'a-code' }),
    navigateTo: note('navigateTo'), redirectTo: note('redirectTo'), reLaunch: note('reLaunch'), makePhoneCall: note('makePhoneCall'),
    ...given,
  };
  return { kept, asked };
}

function open(name) {
  const id = simulate.load(path.join(ROOT, `pages/${name}/${name}`), { compiler: 'simulate', rootPath: ROOT });
  const page = simulate.render(id);
  page.attach(document.body.appendChild(document.createElement('div')));
  return page;
}

const text = (page) => page.dom.textContent.replace(/\s+/g, ' ').trim();
const tap = (page, selector) => page.querySelector(selector).dispatchEvent('tap');
const wait = (ms = 0) => new Promise((done) => setTimeout(done, ms));
async function until(true_, what, ms = 10000) {
  const end = Date.now() + ms;
  while (!true_()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await wait(5);
  }
}

module.exports = { lib, open, phone, tap, text, until, wait };
