// Once: a phone number and a code show who WeChat's person is; afterwards WeChat's word is enough.
const api = require('../../lib/api');
const { fill, words } = require('../../words');

Component({
  behaviors: [require('../../lib/page')],
  data: { state: 'phone', ticket: '', phone: '', code: '', name: '', number: '', sent: '', people: [] },
  methods: {
    onLoad({ state, ticket }) {
      this.begin();
      this.setData({ state, ticket: decodeURIComponent(ticket || '') });
    },
    type({ currentTarget, detail }) { this.setData({ [currentTarget.dataset.name]: detail.value }); },
    send() {
      return this.work(async () => {
        await api.ask('POST', '/api/session/code', { body: { phone: this.data.phone } });
        this.setData({ sent: fill(words.login.sent, { to: this.data.phone }) });
      });
    },
    prove() {
      const { phone, code, ticket } = this.data;
      return this.step('/api/session', { phone, code, ...(ticket ? { ticket } : {}) });
    },
    choose({ currentTarget }) {
      return this.step('/api/session/choose', { ticket: this.data.ticket, person_id: currentTarget.dataset.id });
    },
    enrol() {
      const { ticket, name, number } = this.data;
      return this.step('/api/session/enrol', { ticket, name, id_number: number });
    },
    step(path, body) {
      return this.work(async () => {
        const step = await api.ask('POST', path, { body });
        if (step.state !== 'in') {
          this.setData({ state: step.state, ticket: step.ticket, people: step.people || [] });
          return;
        }
        api.keep(step.token);
        wx.reLaunch({ url: '/pages/bill/bill' });
      });
    },
  },
});
