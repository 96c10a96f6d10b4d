// Made by python -m pwa.mini_words from words/; change the sentences there.
const words = {
  "elder": "长辈版",
  "standard": "标准版",
  "call": "打电话",
  "none": "今天还没有就诊。挂号后，这里会出现就诊码和账单。",
  "offline": "网络不通。连上后会自己更新，就诊码照样能用。",
  "unavailable": "现在连不上医院。没有扣款，请过一会儿再试。",
  "day": {
    "0": "今天",
    "1": "明天",
    "-1": "昨天",
    "date": "{month}月{day}日",
    "far": "{year}年{month}月{day}日"
  },
  "login": {
    "link": "微信已经认出您。再用手机号核对一次，以后直接进。",
    "phone": "手机号",
    "send": "发验证码",
    "again": "没收到，再发一次",
    "sent": "验证码已发到 {to}，5 分钟内有效。",
    "code": "短信里的 6 位数字",
    "enter": "登录",
    "who": "这个手机号有几位在用。您是哪一位？",
    "enrol": "第一次来，请写上您的姓名和身份证号。",
    "name": "姓名",
    "number": "身份证号",
    "enrolGo": "写好了"
  },
  "bill": {
    "total": "现在要付",
    "later": "到现在要自己付",
    "paidAll": "都付清了",
    "paid": "已付",
    "due": "请在{at} 前付。",
    "live": "随时更新",
    "away": "正在连上医院",
    "pay": "去付款",
    "piles": {
      "done": "做完的",
      "ordered": "还没做的",
      "cancelled": "取消的"
    },
    "says": {
      "done": "科室做完才计入，看完病一起付。",
      "ordered": "还没做，不收钱。",
      "cancelled": "不做了，不收钱。"
    },
    "tags": {
      "planned": "还没做",
      "billable": "已做完",
      "covered": "正在付",
      "settled": "已付",
      "disputed": "在核对，先不收",
      "prepaying": "正在付",
      "prepaid": "付过，还没做",
      "aborted": "不做了",
      "reversed": "已退回",
      "refunded": "已退款",
      "settled_elsewhere": "窗口已付"
    }
  },
  "pass": {
    "title": "就诊码",
    "alt": "就诊码图片",
    "fresh": "几秒换一次，当面出示",
    "kept": "这是保存的码，今天有效。窗口会核对姓名。",
    "number": "就诊号"
  },
  "pay": {
    "check": "付之前，先看清楚",
    "forWhom": "替谁付",
    "hospital": "医院",
    "once": "确认后才会扣款。只扣这一次。",
    "go": "用微信付",
    "back": "看账单",
    "title": {
      "offered": "等您付款",
      "unknown": "还不知道有没有付成",
      "paid": "钱已付到",
      "closed": "这次没有付成",
      "already": "已经付好了",
      "late": "付晚了一步",
      "share_paid": "您这一份付好了",
      "given_back": "您付的正在退回",
      "settled": "已经付好了"
    },
    "says": {
      "offered": "请在微信里付。付好后这里会自己变。",
      "unknown": "请别再付，1 分钟内告诉您。",
      "paid": "医院正在入账，稍等一下，不用重复付。",
      "closed": "没有扣款。想付可以再来一次。",
      "already": "不用再付。您这边没有扣款。",
      "late": "这笔钱正在退回您原来的账户。您什么都不用做。",
      "share_paid": "其余的付完，医院一起入账，收据就出来。您不用再付。",
      "given_back": "这次没有付成整单，钱退到原来的账户。您什么都不用做。",
      "settled": "收据存在“我的账单”。"
    }
  }
};

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));

module.exports = { words, fill };
