// Paying: for whom, which hospital, how much; then WeChat asks, and the house finds out itself what became of it.
const api = require('../../lib/api');
const { rmb } = require('../../lib/say');
const { words } = require('../../words');

const LOOK = 2000;
const OVER = ['settled', 'closed', 'failed', 'refunded', 'returned'];
// How a payment's state is said: the same few sentences as on the pages.
const SAYS = {
  offered: 'offered', created: 'offered', unknown: 'unknown', closing: 'unknown', paid: 'paid', settled: 'settled',
  closed: 'closed', failed: 'closed', share_paid: 'share_paid',
  late_paid: 'late', refunding: 'late', refunded: 'late', returning: 'given_back', returned: 'given_back',
};

Component({
  behaviors: [require('../../lib/page')],
  data: { patient: '', hospital: '', amount: 0, shown: '', state: '', title: '', says: '' },
  methods: {
    onLoad({ visit }) {
      this.begin();
      this.id = visit;
      return this.work(async () => {
        const bill = await api.call('GET', `/api/visits/${visit}`);
        this.setData({
          patient: bill.patient, hospital: bill.hospital, amount: bill.sums.payable_fen, shown: rmb(bill.sums.payable_fen),
        });
        this.answers(bill.phone);
      });
    },
    onUnload() { this.gone = true; clearTimeout(this.timer); },
    pay() {
      const about = `${this.id}:${this.data.amount}`;
      return this.work(async () => {
        const made = await api.call('POST', `/api/visits/${this.id}/payments`, {
          body: { amount_fen: this.data.amount, channel: 'MINIPROG' },
          headers: { 'Idempotency-Key': api.key(about) },
        });
        this.about = about;
        this.tell(made);
        if (made.state === 'offered' && made.client_params) {
          // Whatever WeChat answers here is only its word to the phone: the house asks WeChat Pay itself.
          const went = await new Promise((done) => wx.requestPayment({
            ...made.client_params, success: () => done(true), fail: () => done(false),
          }));
          if (!went) this.tell(await api.call('POST', `/api/payments/${made.id}/cancel`));
        }
        if (!OVER.includes(this.data.state)) await this.look(made.id);
      });
    },
    async look(id) {
      clearTimeout(this.timer);
      try { this.tell(await api.call('GET', `/api/payments/${id}`)); } catch (refusal) { this.setData({ note: refusal.message }); }
      if (!OVER.includes(this.data.state) && !this.gone) this.timer = setTimeout(() => this.look(id), LOOK);
    },
    tell({ state }) {
      const said = SAYS[state] || 'unknown';
      // A payment that is over is not begun again by the next press.
      if (OVER.includes(state)) api.forget(this.about);
      this.setData({ state, title: words.pay.title[said], says: words.pay.says[said] });
    },
    back() { wx.reLaunch({ url: `/pages/bill/bill?visit=${this.id}` }); },
  },
});
