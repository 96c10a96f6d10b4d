// How an amount and a moment are written for a person; the same as on the pages.
const { words, fill } = require('../words');

function rmb(fen) {
  const whole = Math.floor(Math.abs(fen) / 100).toString().replace(/\B(?=(\d{3})+$)/g, ',');
  return `${fen < 0 ? '-' : ''}¥${whole}.${String(Math.abs(fen) % 100).padStart(2, '0')}`;
}

// China has one time and no summer time, wherever the phone is.
const local = (at) => new Date(at.getTime() + 8 * 3600 * 1000);

function when(text, now = new Date()) {
  const at = local(new Date(text)), today = local(now);
  const days = Math.floor(at.getTime() / 86400000) - Math.floor(today.getTime() / 86400000);
  const clock = `${String(at.getUTCHours()).padStart(2, '0')}:${String(at.getUTCMinutes()).padStart(2, '0')}`;
  const date = { month: at.getUTCMonth() + 1, day: at.getUTCDate(), year: at.getUTCFullYear() };
  const shape = date.year === today.getUTCFullYear() ? words.day.date : words.day.far;
  return `${words.day[days] || fill(shape, date)} ${clock}`;
}

module.exports = { rmb, when };
