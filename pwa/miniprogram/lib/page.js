// What every page has: its words, large type where it is wanted, the hospital's refusals in its own sentences.
const config = require('../config');
const { words } = require('../words');

module.exports = Behavior({
  data: { words, elder: false, note: '', busy: false, help: '' },
  methods: {
    begin() { this.setData({ elder: wx.getStorageSync('elder') === true, help: wx.getStorageSync('help') || config.phone }); },
    // The telephone of the hospital she is at, from now on on every page.
    answers(help) {
      wx.setStorageSync('help', help);
      this.setData({ help });
    },
    largeType() {
      const elder = !this.data.elder;
      wx.setStorageSync('elder', elder);
      this.setData({ elder });
    },
    call() { wx.makePhoneCall({ phoneNumber: this.data.help }); },
    // Do something once, and say what is in the way if it cannot be done.
    async work(what) {
      if (this.data.busy) return;
      this.setData({ busy: true, note: '' });
      try { await what(); } catch (refusal) { this.setData({ note: refusal.message }); }
      this.setData({ busy: false });
    },
  },
});
