// The live bill: what is done and owed, what is ordered and not done, each change as the department confirms it.
const api = require('../../lib/api');
const { follow } = require('../../lib/live');
const { rmb, when } = require('../../lib/say');
const { fill, words } = require('../../words');

const PILES = ['done', 'ordered', 'cancelled'];

Component({
  behaviors: [require('../../lib/page')],
  data: { state: 'loading', open: false, visit: null, hospital: '', patient: '', total: '', totalSays: '', due: '', paid: '', payable: 0, piles: [] },
  methods: {
    onLoad({ visit } = {}) {
      this.begin();
      this.id = visit || '';
      return this.load();
    },
    onShow() { if (this.away) this.load(); },
    onHide() { this.away = true; this.leave(); },
    onUnload() { this.leave(); },
    leave() { if (this.stop) this.stop(); this.stop = null; },
    load() {
      this.away = false;
      this.leave();
      return this.work(async () => {
        if (!this.id) this.id = await this.newest();
        if (!this.id) { this.setData({ state: 'none' }); return; }
        const bill = await api.call('GET', `/api/visits/${this.id}`);
        this.lines = new Map(bill.lines.map((line) => [line.id, line]));
        this.setData({ state: 'bill', hospital: bill.hospital, patient: bill.patient });
        this.answers(bill.phone);
        this.draw(bill.sums, bill.visit);
        if (this.away) return;
        this.stop = follow(this.id, bill.after, {
          row: (kind, data) => this.row(kind, data),
          reload: () => this.load(),
          state: (open) => this.setData({ open }),
        });
      });
    },
    // The visit that runs now; else the last one.
    async newest() {
      const visits = await api.call('GET', '/api/visits');
      const found = visits.find((v) => v.state === 'open') || visits[0];
      return found ? found.id : '';
    },
    // Each row is whole, so one that comes again changes nothing.
    row(kind, data) {
      if (data.line) this.lines.set(data.line.id, data.line);
      this.draw(data.sums || this.sums, data.visit ? { ...this.visit, ...data.visit } : this.visit);
    },
    draw(sums, visit) {
      this.sums = sums; this.visit = visit;
      const lines = [...this.lines.values()].sort((a, b) => b.rank - a.rank);
      const later = visit.state === 'open' && visit.mode === 'DEFERRED';
      this.setData({
        total: rmb(sums.payable_fen),
        totalSays: sums.payable_fen || !sums.paid_fen ? (later ? words.bill.later : words.bill.total) : words.bill.paidAll,
        due: visit.due_at && sums.payable_fen ? fill(words.bill.due, { at: when(visit.due_at) }) : '',
        paid: sums.paid_fen ? `${words.bill.paid} ${rmb(sums.paid_fen)}` : '',
        payable: sums.payable_fen,
        piles: PILES.map((name) => ({
          name,
          title: words.bill.piles[name],
          says: words.bill.says[name],
          lines: lines.filter((line) => line.pile === name).map((line) => ({
            id: line.id, name: line.name, department: line.department, amount: rmb(line.amount_fen),
            tag: words.bill.tags[line.state] || '',
          })),
        })).filter((pile) => pile.lines.length),
      });
    },
    pay() { wx.navigateTo({ url: `/pages/pay/pay?visit=${this.id}` }); },
    pass() { wx.navigateTo({ url: `/pages/pass/pass?visit=${this.id}` }); },
  },
});
