// Every page by itself with a made-up `wx`; then, where HOUFU_URL says so, the whole program against a running house.
// Prints one JSON line for each thing that went as it should; anything else ends it with an error.
const assert = require('node:assert/strict');
const { lib, open, phone, tap, text, until, wait } = require('./sim');

const config = lib('config.js');
const { words } = lib('words.js');
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));

const VISIT = { id: 'v1', state: 'open', mode: 'DEFERRED', due_at: null, owner: true };
const SUMS = { payable_fen: 7760, paid_fen: 0 };
const LINE = { id: 'c1', name: '血常规', department: '检验科', amount_fen: 7760, pile: 'done', state: 'billable', rank: 2 };
const BILL = { visit: VISIT, hospital: '演示医院', phone: '0519-8888', patient: '朱桂芳', sums: SUMS, lines: [LINE], after: 'p0' };

// Answers by "METHOD path"; a number is a refusal of that status, a function is called.
function house(answers, log = []) {
  return ({ url, method, data, header, success, fail }) => {
    const path = url.slice(config.base.length);
    log.push([`${method} ${path}`, data, header]);
    let found = answers[`${method} ${path}`];
    if (typeof found === 'function') found = found({ data, header });
    if (found === undefined) return fail({ errMsg: 'request:fail' });
    const [statusCode, body] = typeof found === 'number' ? [found, { code: 'x', detail: `no ${found}` }] : [200, found];
    return setTimeout(() => success({ statusCode, data: body }));
  };
}

// Sockets the test answers on.
function lines() {
  const made = [];
  const connectSocket = ({ url }) => {
    const on = {}, sent = [];
    const socket = {
      url, sent, closed: false,
      onOpen: (f) => { on.open = f; setTimeout(f); }, onMessage: (f) => { on.message = f; },
      onClose: (f) => { on.close = f; }, onError: () => {},
      send: ({ data }) => sent.push(JSON.parse(data)),
      close: () => { socket.closed = true; on.close({ code: 1000 }); },
      say: (what) => on.message({ data: JSON.stringify(what) }),
      drop: (code) => on.close({ code }),
    };
    made.push(socket);
    return socket;
  };
  return { made, connectSocket };
}

async function amounts() {
  const { rmb, when } = lib('lib/say.js');
  assert.deepEqual([7760, 0, -5, 123456700].map(rmb), ['¥77.60', '¥0.00', '-¥0.05', '¥1,234,567.00']);
  const now = new Date('2026-11-20T16:30:00Z'); // half past midnight of the 21st in China
  const said = ['2026-11-21T08:20:00Z', '2026-11-22T01:00:00Z', '2026-11-20T01:00:00Z', '2026-11-18T01:00:00Z', '2025-12-25T01:00:00Z'];
  assert.deepEqual(said.map((at) => when(at, now)), ['今天 16:20', '明天 09:00', '昨天 09:00', '11月18日 09:00', '2025年12月25日 09:00']);
}

async function billGrows() {
  const { made, connectSocket } = lines();
  const { kept, asked } = phone({ connectSocket, request: house({
    'POST /api/session/wechat-mini': { state: 'in', token: 't1' }, 'GET /api/visits': [VISIT], 'GET /api/visits/v1': BILL,
  }) });
  const page = open('bill');
  await page.instance.onLoad({});
  await wait();
  assert.equal(kept.get('token'), 't1');
  for (const part of ['演示医院 · 朱桂芳', words.bill.later, '¥77.60', '血常规', '检验科 · 已做完', words.bill.away]) {
    assert.ok(text(page).includes(part), part);
  }
  assert.ok(made[0].url.endsWith('/api/visits/v1/live') && !made[0].url.includes('t1'));
  assert.deepEqual(made[0].sent, [{ token: 't1', after: 'p0' }]);
  made[0].say({ event: 'hello', retry: 500 });
  const more = { ...LINE, id: 'c2', name: '尿常规', amount_fen: 1000, rank: 3 };
  const row = { id: 'p1', data: { kind: 'bill.line', at: '', data: { line: more, sums: { payable_fen: 8760, paid_fen: 0 } } } };
  made[0].say(row);
  made[0].say(row); // said twice it is still one line
  await wait();
  assert.ok(text(page).includes('¥87.60') && text(page).includes(words.bill.live));
  assert.equal(page.querySelectorAll('.line').length, 2);
  made[0].say({ id: 'p2', data: { kind: 'visit', at: '', data: { visit: { state: 'ended', due_at: '2026-11-22T08:20:00+00:00' } } } });
  await wait();
  assert.ok(text(page).includes(words.bill.total) && text(page).includes('前付'));
  tap(page, '.pay'); tap(page, '.call'); tap(page, '.large'); await wait();
  assert.deepEqual(asked, [['navigateTo', { url: '/pages/pay/pay?visit=v1' }], ['makePhoneCall', { phoneNumber: '0519-8888' }]]);
  assert.ok(page.querySelector('.elder') && kept.get('elder') === true);
  page.instance.onHide();
  assert.ok(made[0].closed && made.length === 1);
}

async function lineDrops() {
  const { made, connectSocket } = lines();
  let logins = 0;
  phone({ connectSocket, request: house({ 'POST /api/session/wechat-mini': () => { logins += 1; return { state: 'in', token: `t${logins}` }; } }) });
  lib('lib/api.js').keep('t0');
  const rows = [], states = [];
  let reloads = 0;
  const real = Math.random;
  Math.random = () => -0.495; // a pause of five thousandths
  const stop = lib('lib/live.js').follow('v1', 'p0', { row: (k) => rows.push(k), reload: () => { reloads += 1; }, state: (s) => states.push(s) });
  await wait();
  made[0].say({ event: 'hello', retry: 1 });
  made[0].say({ id: 'p7', data: { kind: 'step', at: '', data: {} } });
  made[0].drop(1006);
  await until(() => made.length === 2 && made[1].sent.length, 'a second line');
  assert.deepEqual(made[1].sent, [{ token: 't0', after: 'p7' }]);
  made[1].drop(4401); // the session is over: logged in anew, and on from the same place
  await until(() => made.length === 3 && made[2].sent.length, 'a third line');
  assert.deepEqual(made[2].sent, [{ token: 't1', after: 'p7' }]);
  made[0].say({ id: 'p8', data: { kind: 'late', at: '', data: {} } }); // a line that was given up says nothing more
  assert.deepEqual([rows, states], [['step'], [true, false, false]]);
  made[2].say({ event: 'reload' });
  await wait(30);
  assert.deepEqual([reloads, made.length, made[2].closed], [1, 3, true]);
  stop();
  Math.random = real;
}

async function loginAsks() {
  config.phone = '0519-7777'; // of whom nothing is known yet, the hospital of the program answers
  const { kept, asked } = phone({ request: house({
    'POST /api/session/wechat-mini': { state: 'phone', ticket: 'T/1' }, 'POST /api/session/code': {},
    'POST /api/session': { state: 'choose', ticket: 'T2', people: [{ id: 'a', name: '朱**' }, { id: 'b', name: '陈*' }] },
    'POST /api/session/choose': ({ data }) => (data.person_id === 'b' ? { state: 'in', token: 'tb' } : 422),
  }) });
  await assert.rejects(lib('lib/api.js').call('GET', '/api/visits'));
  assert.deepEqual(asked, [['redirectTo', { url: '/pages/login/login?state=phone&ticket=T%2F1' }]]);
  const page = open('login');
  page.instance.onLoad({ state: 'phone', ticket: 'T%2F1' });
  page.setData({ phone: '19900000001' });
  await wait();
  tap(page, '.call');
  await wait();
  assert.deepEqual(asked.at(-1), ['makePhoneCall', { phoneNumber: '0519-7777' }]);
  await page.instance.send();
  assert.ok(text(page).includes('验证码已发到 19900000001'));
  page.setData({ code: '123456' });
  await page.instance.prove();
  await wait();
  assert.equal(page.querySelectorAll('.choose').length, 2);
  await page.instance.choose({ currentTarget: { dataset: { id: 'a' } } });
  await wait();
  assert.ok(text(page).includes('no 422') && !kept.has('token'));
  await page.instance.choose({ currentTarget: { dataset: { id: 'b' } } });
  assert.equal(kept.get('token'), 'tb');
  assert.deepEqual(asked.at(-1), ['reLaunch', { url: '/pages/bill/bill' }]);
}

async function payOnce() {
  const log = [], answers = { 'GET /api/visits/v1': BILL }; // no answer to a payment: the network is away
  const params = { timeStamp: '1', nonceStr: 'n', package: 'prepay_id=1', signType: 'RSA', paySign: 's' };
  let given = null;
  const { kept } = phone({ request: house(answers, log), requestPayment: (all) => { given = all; all.success(); } });
  lib('lib/api.js').keep('t');
  const page = open('pay');
  await page.instance.onLoad({ visit: 'v1' });
  await wait();
  for (const part of ['演示医院', '朱桂芳', '¥77.60', words.pay.once]) assert.ok(text(page).includes(part), part);
  await page.instance.pay();
  await wait();
  assert.ok(text(page).includes(words.offline) && given === null);
  answers['POST /api/visits/v1/payments'] = { id: 'a1', state: 'offered', client_params: params };
  answers['GET /api/payments/a1'] = { id: 'a1', state: 'settled' };
  await page.instance.pay();
  await wait();
  const begun = log.filter(([what]) => what === 'POST /api/visits/v1/payments');
  assert.equal(new Set(begun.map(([, , header]) => header['Idempotency-Key'])).size, 1);
  assert.deepEqual(begun[1][1], { amount_fen: 7760, channel: 'MINIPROG' });
  assert.equal(given.paySign, 's');
  assert.ok(text(page).includes(words.pay.title.settled) && !page.querySelector('.go'));
  assert.deepEqual([...kept.keys()], ['token', 'help']);
}

async function payBacksOut() {
  const log = [];
  phone({ request: house({
    'GET /api/visits/v1': BILL, 'POST /api/visits/v1/payments': { id: 'a1', state: 'offered', client_params: {} },
    'POST /api/payments/a1/cancel': { id: 'a1', state: 'closed' },
  }, log), requestPayment: ({ fail }) => fail({ errMsg: 'requestPayment:fail cancel' }) });
  lib('lib/api.js').keep('t');
  const page = open('pay');
  await page.instance.onLoad({ visit: 'v1' });
  await page.instance.pay();
  await wait();
  assert.ok(text(page).includes(words.pay.title.closed) && text(page).includes(words.pay.says.closed));
  assert.equal(log.at(-1)[0], 'POST /api/payments/a1/cancel');
  assert.ok(page.querySelector('.go'));
}

async function passWithoutNetwork() {
  const { kept, asked } = phone({ request: house({
    'GET /api/visits/v1/pass': { number: '20261120', step_seconds: 30 }, 'GET /visits/v1/pass/kept.png': Buffer.from('kept'),
    'GET /visits/v1/pass/live.png': Buffer.from('live'),
  }) });
  lib('lib/api.js').keep('t');
  kept.set('help', '0519-8888');
  const page = open('pass');
  await page.instance.onLoad({ visit: 'v1' });
  page.instance.onUnload();
  await wait();
  assert.ok(page.data.image.endsWith(Buffer.from('live').toString('base64')) && text(page).includes(words.pass.fresh));
  globalThis.wx.request = ({ fail }) => fail({});
  await page.instance.renew();
  await wait();
  assert.ok(page.data.image.endsWith(Buffer.from('kept').toString('base64')) && text(page).includes(words.pass.kept));
  assert.ok(kept.has('pass:v1'));
  tap(page, '.call');
  await wait();
  assert.deepEqual(asked.at(-1), ['makePhoneCall', { phoneNumber: '0519-8888' }]); // of the hospital she was last at
}

// ------------------------------------------------------------------------------------------ against a running house

async function wholeProgram(url, register, openid) {
  const WebSocket = require('ws');
  const task = ({ url: to }) => {
    const socket = new WebSocket(to);
    return {
      onOpen: (f) => socket.on('open', f), onMessage: (f) => socket.on('message', (data) => f({ data: data.toString() })),
      onClose: (f) => socket.on('close', (code) => f({ code })), onError: (f) => socket.on('error', f),
      send: ({ data }) => socket.send(data), close: () => socket.close(),
    };
  };
  const request = ({ url: to, method, data, header, responseType, success, fail }) => {
    fetch(to, { method, headers: header, body: data === undefined ? undefined : JSON.stringify(data) }).then(async (answer) => {
      const body = responseType === 'arraybuffer' ? await answer.arrayBuffer() : await answer.json().catch(() => '');
      success({ statusCode: answer.status, data: body });
    }, fail);
  };
  const requestPayment = ({ success, fail, ...params }) => {
    fetch(`${register}/control/pay`, { method: 'POST', body: JSON.stringify({ openid, params: { appId: process.env.MINI_APPID, ...params } }) })
      .then((a) => a.json()).then(({ err_msg }) => (err_msg.endsWith(':ok') ? success() : fail()));
  };
  phone({ request, connectSocket: task, requestPayment });
  config.base = url;
  const bill = open('bill');
  await bill.instance.onLoad({});
  await until(() => bill.data.open, 'an open line');
  const before = bill.data.total;
  say('bill', { text: text(bill) });
  await until(() => bill.data.total !== before, 'the bill to grow');
  say('grown', { total: bill.data.total });
  const visit = bill.instance.id;
  const pass = open('pass');
  await pass.instance.onLoad({ visit });
  pass.instance.onUnload();
  say('pass', { live: pass.data.live, image: pass.data.image.slice(0, 40) });
  const pay = open('pay');
  await pay.instance.onLoad({ visit });
  await pay.instance.pay();
  await until(() => ['paid', 'settled'].includes(pay.data.state), 'the payment');
  pay.instance.onUnload();
  await until(() => bill.data.total === '¥0.00', 'the bill to be paid');
  say('paid', { state: pay.data.state, bill: bill.data.totalSays });
  bill.instance.onUnload();
}

(async () => {
  for (const one of [amounts, billGrows, lineDrops, loginAsks, payOnce, payBacksOut, passWithoutNetwork]) {
    await one();
    say(one.name);
  }
  if (process.env.HOUFU_URL) await wholeProgram(process.env.HOUFU_URL, process.env.REGISTER_URL, process.env.OPENID);
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
