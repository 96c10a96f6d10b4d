"""The text messages of the demo as phones show them, by the number of their approved template."""

CODE = "2400001"
BIND = "2400009"
TEMPLATES = {
    BIND: "{1}想替您付看病的钱，只能付钱，看不到病情。同意就把验证码 {2} 告诉对方，{3} 分钟内有效。不认识就不要告诉任何人。",
    CODE: "验证码 {1}，{2} 分钟内有效。不是您本人在办，就不用理会。",
    "2400011": "下一步安排好了，共 {1} 项，请看指引单，或问导诊台。查询码 {2}",
    "2400012": "快到您了，请回去等叫号。查询码 {1}",
    "2400013": "叫到您了，请现在过去。查询码 {1}",
    "2400014": "检查有一项结果出来了，请到自助机取，或给医生看。查询码 {1}",
    "2400015": "就诊费 {1}，请在{2} 前付。可在公众号“缴费”里付，或请家人付。查询码 {3}",
    "2400016": "{1}请您付一笔医药费，请打开公众号看清楚再付。查询码 {2}",
    "2400018": "{1}想替您付一笔医药费，请打开公众号看，同意了再付。查询码 {2}",
    "2400019": "这一项做完了，下一步去哪里请看指引单，或问导诊台。查询码 {1}",
    "2400020": "药配好了，请到药房取。怎么吃请问药师。查询码 {1}",
    "2400021": "检查有一项结果要请医生看，请联系医生。查询码 {1}",
    "2400022": "检查有一项结果要医生马上看，请现在联系医生。查询码 {1}",
    "2400017": "收到这一条，说明提醒能用。查询码 {1}",
}
KINDS = {
    "step": {"id": "2400011", "params": ["count", "code"]},
    "turn": {"id": "2400012", "params": ["code"]},
    "called": {"id": "2400013", "params": ["code"]},
    "result": {"id": "2400014", "params": ["code"]},
    "next": {"id": "2400019", "params": ["code"]},
    "medicine": {"id": "2400020", "params": ["code"]},
    "abnormal": {"id": "2400021", "params": ["code"]},
    "critical": {"id": "2400022", "params": ["code"]},
    "due": {"id": "2400015", "params": ["amount", "until", "code"]},
    "asked": {"id": "2400016", "params": ["who", "code"]},
    "offered": {"id": "2400018", "params": ["who", "code"]},
    "test": {"id": "2400017", "params": ["code"]},
}
"""Kind of message → its template and what fills it: the setting ``HOUFU_SMS_TEMPLATES`` of the demo."""
