"""The letter's own words, from the hospital's numbers; a published version is kept as data and never edited."""

TITLE = "先诊疗后付费信用承诺书"

REFUSALS = {
    "insurance": "参保状态不正常",
    "credit": "信用平台上有严重失信记录",
    "credit_unknown": "现在还查不到信用情况",
    "suspended": "还有一笔没付清，先停用了。付清就能恢复",
    "default_record": "以前有恶意欠费的记录",
}
RELATIONS = {
    "mother": "母亲",
    "father": "父亲",
    "daughter": "女儿",
    "son": "儿子",
    "spouse": "爱人",
    "sibling": "兄弟姐妹",
    "grandparent": "祖父母",
    "guardian": "监护人",
    "other": "别的家人",
}
REASONS = {
    "minor": "患者还未成年",
    "unable": "患者自己不便签名",
    "authorised": "患者让我代签",
    "emergency": "情况紧急",
}
ROLES = {"patient": "患者本人", "proxy": "家属代签", "guardian": "监护人代签"}
METHODS = {"strokes": "手写签名", "code": "姓名加短信验证码"}
CHANNELS = {
    "TABLET": "医院平板",
    "QR_SCAN": "扫码",
    "KIOSK": "自助机",
    "OFFICIAL_ACCOUNT": "公众号",
    "WEB": "手机网页",
}


def label(year: int, version: int) -> str:
    """How people name a version."""
    return f"{year} 年第 {version} 版"


def regions(
    hospital: str,
    *,
    due_hours: int,
    call_days: int,
    suspend_days: int,
    alone_from: int,
    zero_threshold: bool,
    countersign: bool,
) -> list[dict[str, str]]:
    """The five regions: code, title, text of one paragraph a line. ``{name}`` and the like are filled per patient."""
    looked_up = "" if zero_threshold else "参保向医保查，信用向本市信用平台查。"
    told = [
        f"签了以后，在{hospital}看病中途不用交钱，看完一次付清。不签也照常看病，先缴费就行。",
        f"1. 什么时候付。当天看完病后 {due_hours} 小时内付清。做完的才收钱，没做的不收。",
        "2. 怎么付。医保先报，剩下的用微信付、请家人付、用家庭共济，或到窗口、自助机付。",
        f"3. 到时没付，会发短信；过 {call_days} 天，医院打电话问；过 {suspend_days} 天先停用，付清后恢复。"
        "恶意欠费按本市规定记入信用档案。有难处请早说，可以申诉。",
        "4. 不能用的：打架、吸毒、服毒；不是医疗或政策需要的流产、引产；车祸、医疗事故等该由别人付的；"
        "有恶意欠费记录的；医院另外说明的。事后查明的，那次改为先付费。",
        "5. 随时可以停，在“设置”里或到窗口。已经记账的仍要付，以后还能再签。",
        f"6. 信息给谁看。{looked_up}账单只给医院结算用，家人只看到您同意给看的。陪诊、引路、上报信用，都另外问您。",
    ]
    doctor = "接诊医生在诊间签名。" if countersign else "本院不用医生签名。"
    return [
        {"code": "told", "title": "一、告诉您的事", "text": "\n".join(told)},
        {
            "code": "patient",
            "title": "二、患者信息",
            "text": "姓名：{name}\n证件号：{id_number}\n手机：{phone}\n不对请先到窗口改。",
        },
        {
            "code": "sign",
            "title": "三、签名",
            "text": "我看懂了上面的话，愿意看完病后按时付清。可以手写签名，也可以用姓名和短信验证码签。签了马上有效。",
        },
        {
            "code": "proxy",
            "title": "四、家属代签",
            "text": f"患者自己不便签的，由患者同意的家人代签，写明关系和原因。未满 {alone_from} 岁的，由监护人签。",
        },
        {"code": "doctor", "title": "五、医生签名", "text": doctor},
    ]


class Paper:
    """Around the text on the printed letter."""

    version = "版本"
    hospital = "医院"
    signed_by = "签名人"
    role = "身份"
    relation = "和患者的关系"
    reason = "代签原因"
    method = "签名方式"
    channel = "签名渠道"
    at = "签名时间"
    read = "阅读时间"
    witness = "在场核对"
    doctor = "医生签名"
    signature = "签名"
    typed = "用姓名和短信验证码签"
    evidence = "存证"
    letter_hash = "文本指纹"
    link = "存证链"
    verify = "这份文件带有电子签名和时间戳，并附存证数据。用 houfu verify-consent 可以离线核对。"

    @staticmethod
    def seconds(spent: int, needed: int) -> str:
        """How long it was open, and how long it had to be."""
        return f"{spent} 秒（至少 {needed} 秒）"

    @staticmethod
    def where(number: int) -> str:
        """The place in the hospital's chain."""
        return f"第 {number} 条"
