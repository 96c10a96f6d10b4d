// One visit as it happens, by WebSocket: after a break it goes on where it was, and nothing is lost or said twice.
const config = require('../config');
const api = require('./api');

const SILENT = 40000; // the house says something every thirty seconds at least

// heard: { row(kind, data), reload(), state(open) } ; returns what stops it.
function follow(visit, after, heard) {
  let last = after, pause = 1000, stopped = false, task = null, again = null, watch = null;

  const awake = () => {
    clearTimeout(watch);
    watch = setTimeout(() => task && task.close({}), SILENT);
  };
  const open = () => {
    const mine = task = wx.connectSocket({ url: `${config.base.replace(/^http/, 'ws')}/api/visits/${visit}/live` });
    awake();
    mine.onOpen(() => mine.send({ data: JSON.stringify({ token: api.token(), after: last }) }));
    mine.onMessage(({ data }) => {
      if (mine !== task) return;
      awake();
      const said = JSON.parse(data);
      if (said.event === 'hello') { pause = 1000; heard.state(true); }
      if (said.event === 'reload') { stop(); heard.reload(); }
      if (said.id) { last = said.id; heard.row(said.data.kind, said.data.data); }
    });
    mine.onError(() => {});
    mine.onClose(({ code }) => {
      if (mine !== task || stopped) return;
      task = null;
      clearTimeout(watch);
      heard.state(false);
      if (code === 4401) api.logIn().then(open, () => {});
      else if (code === 4404) { stop(); heard.reload(); }
      else {
        again = setTimeout(open, pause * (0.5 + Math.random()));
        pause = Math.min(30000, pause * 2);
      }
    });
  };
  function stop() {
    stopped = true;
    clearTimeout(again); clearTimeout(watch);
    if (task) task.close({});
    task = null;
  }
  open();
  return stop;
}

module.exports = { follow };
