// Calls to the house: the same API as every program's, by bearer token; who is not known yet logs in on the way.
const config = require('../config');
const { words } = require('../words');

class Refusal extends Error {
  constructor(status, problem) {
    super((problem && problem.detail) || words.unavailable);
    this.status = status;
    this.code = (problem && problem.code) || 'unavailable';
  }
}

const token = () => wx.getStorageSync('token') || '';
const keep = (fresh) => wx.setStorageSync('token', fresh);

function ask(method, path, { body, headers, binary } = {}) {
  return new Promise((done, no) => wx.request({
    url: config.base + path,
    method,
    data: body,
    header: { 'Content-Type': 'application/json', Authorization: `Bearer ${token()}`, ...headers },
    responseType: binary ? 'arraybuffer' : 'text',
    timeout: 15000,
    success: ({ statusCode, data }) => (statusCode < 300 ? done(data) : no(new Refusal(statusCode, data))),
    fail: () => no(new Refusal(0, { detail: words.offline, code: 'offline' })),
  }));
}

// One login at a time, however many calls find that the session is over.
let entering = null;
function logIn() {
  entering = entering || new Promise((done, no) => wx.login({ success: done, fail: () => no(new Refusal(0)) }))
    .then(({ code }) => ask('POST', '/api/session/wechat-mini', { body: { code } }))
    .then(enter)
    .finally(() => { entering = null; });
  return entering;
}

// What a step of logging in says: in, or the page that asks for the next one.
function enter(step) {
  if (step.state === 'in') return keep(step.token);
  wx.redirectTo({ url: `/pages/login/login?state=${step.state}&ticket=${encodeURIComponent(step.ticket)}` });
  throw new Refusal(401, { code: 'asking', detail: '' });
}

async function call(method, path, options) {
  if (!token()) await logIn();
  try {
    return await ask(method, path, options);
  } catch (refusal) {
    if (refusal.status !== 401) throw refusal;
    await logIn();
    return ask(method, path, options);
  }
}

// Made and kept before anything is sent: pressed twice, or sent again after a break, it is one payment.
function key(about) {
  const kept = wx.getStorageSync(`key:${about}`);
  if (kept) return kept;
  const fresh = Array.from({ length: 32 }, () => Math.floor(Math.random() * 16).toString(16)).join('');
  wx.setStorageSync(`key:${about}`, fresh);
  return fresh;
}
const forget = (about) => wx.removeStorageSync(`key:${about}`);

module.exports = { ask, call, enter, forget, key, keep, logIn, token, Refusal };
