// What every page has: its words, large type where it is wanted, the hospital's refusals in its own sentences.
const { words } = require('../words');

module.exports = Behavior({
  data: { words, elder: false, note: '', busy: false, phone: '' },
  methods: {
    begin() { this.setData({ elder: wx.getStorageSync('elder') === true }); },
    largeType() {
      const elder = !this.data.elder;
      wx.setStorageSync('elder', elder);
      this.setData({ elder });
    },
    call() { wx.makePhoneCall({ phoneNumber: this.data.phone }); },
    // Do something once, and say what is in the way if it cannot be done.
    async work(what) {
      if (this.data.busy) return;
      this.setData({ busy: true, note: '' });
      try { await what(); } catch (refusal) { this.setData({ note: refusal.message }); }
      this.setData({ busy: false });
    },
  },
});
