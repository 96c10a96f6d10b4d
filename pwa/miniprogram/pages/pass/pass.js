// The visit pass: a code of the moment, drawn anew while the page is shown; without a network the one for the day.
const api = require('../../lib/api');

const picture = (bytes) => `data:image/png;base64,${wx.arrayBufferToBase64(bytes)}`;

Component({
  behaviors: [require('../../lib/page')],
  data: { image: '', live: false, number: '' },
  methods: {
    async onLoad({ visit }) {
      this.begin();
      this.id = visit;
      this.every = 10000;
      this.kept = wx.getStorageSync(`pass:${visit}`) || '';
      await this.work(async () => {
        const found = await api.call('GET', `/api/visits/${visit}/pass`);
        this.every = Math.max(5, found.step_seconds / 3) * 1000;
        this.setData({ number: found.number });
        if (!this.kept) {
          this.kept = picture(await api.call('GET', `/visits/${visit}/pass/kept.png`, { binary: true }));
          wx.setStorageSync(`pass:${visit}`, this.kept);
        }
      });
      return this.renew();
    },
    async renew() {
      clearTimeout(this.timer);
      try {
        this.setData({ image: picture(await api.call('GET', `/visits/${this.id}/pass/live.png`, { binary: true })), live: true });
      } catch (refusal) {
        this.setData({ image: this.kept, live: false });
      }
      if (!this.gone) this.timer = setTimeout(() => this.renew(), this.every);
    },
    onShow() { if (this.gone) { this.gone = false; this.renew(); } },
    onHide() { this.gone = true; clearTimeout(this.timer); },
    onUnload() { this.gone = true; clearTimeout(this.timer); },
  },
});
