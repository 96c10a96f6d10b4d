"""What the stage says while a scripted hospital visit plays: one short line for each thing that happens.

Captions name who acts and what has happened. Reports are what a department writes for the doctor, so they may use the
department's own words; the product shows them as they come.
"""

SKIPPED = "这一项已经取消，跳过"
BEFORE = "点“下一步”，朱桂芳来医院看心内科。“看完病再付”她昨天签好了；想看她签，点“从签名看起”。"
UNSIGNED = "“看完病再付”她停用了。点“下一步”，她来挂号，当场读信、签名。"
WAITS = "等她签名：在妈妈的手机上点“看一看，去签”，读到底，写上名字"

TITLES: dict[str, str] = {
    "cardiology": "朱桂芳，71岁，心内科复诊",
    "letter": "朱桂芳，71岁，挂了号才签名",
    "antenatal": "周晓雨，孕28周，产前检查",
    "child": "孙小满，7岁，发热，父亲陪着",
    "emergency": "急诊：先救治，后办手续",
    "pay_first": "马建国：参保状态不正常，先付再查",
}

_SEEN = {
    "see": "诊室：正在看医生",
    "order": "诊室：开了抽血、心电图、心脏彩超、动态心电图",
    "seen": "诊室：看完了，去做检查",
    "blood_queue": "抽血处：前面还有 3 位",
    "blood_call": "抽血处：请朱桂芳到 4 号窗口",
    "blood": "抽血处：已采血",
    "ecg_queue": "心电图室：前面还有 1 位",
    "ecg": "心电图室：已做完",
    "ecg_result": "心电图：报告已出",
    "echo_queue": "心脏超声室：前面还有 2 位",
    "echo_call": "心脏超声室：请进 306 室",
    "echo": "心脏超声室：已做完",
    "echo_result": "心脏彩超：报告已出",
    "blood_result": "检验科：化验结果已出，有一项偏高",
    "prescribe": "诊室：看了结果，开了药",
    "medicine": "西药房：药已取走",
    "finish": "诊室：今天的就诊结束。女儿在她的手机上付一次就行",
}

CAPTIONS: dict[str, dict[str, str]] = {
    "cardiology": {"register": "挂号：心内科，已挂上", **_SEEN},
    "letter": {
        "register": "挂号：心内科，已挂上；还没签名，先缴费",
        "signed": "签好了，医院那边也知道了：看完病再付",
        **_SEEN,
    },
    "antenatal": {
        "register": "挂号：产科，已挂上",
        "see": "诊室：正在做产前检查",
        "order": "诊室：开了抽血、尿检、产科彩超、胎心监护",
        "seen": "诊室：问诊做完，去做检查",
        "blood": "抽血处：已采血",
        "urine": "检验科：已收到尿样",
        "scan_queue": "超声科：前面还有 4 位",
        "scan": "超声科：产科彩超已做完",
        "scan_result": "产科彩超：报告已出",
        "monitor": "胎心监护室：已做完",
        "monitor_result": "胎心监护：报告已出",
        "results": "检验科：化验结果已出，血红蛋白偏低",
        "prescribe": "诊室：开了叶酸和补铁的药",
        "medicine": "西药房：药已取走",
        "finish": "诊室：今天的产检结束",
    },
    "child": {
        "register": "挂号：儿科，已挂上",
        "see": "诊室：医生正在看孩子",
        "order": "诊室：开了血常规、流感检测",
        "seen": "诊室：看完了，去做检查",
        "blood": "抽血处：已采血",
        "flu": "检验科：已取样",
        "results": "检验科：结果已出，不是流感",
        "prescribe": "诊室：开了退热药和雾化",
        "nebulise": "注射输液室：雾化做完了",
        "medicine": "西药房：药已取走",
        "finish": "诊室：看完了，可以回家",
    },
    "emergency": {
        "arrive": "急诊：120 送来一位病人，身份不明",
        "rescue": "抢救室：先救治，已上监护、吸氧",
        "rescued": "抢救室：监护、吸氧、留置针已做",
        "tests": "急诊医生：开了心肌酶、心电图、头颅 CT",
        "blood": "抽血：床旁已采血",
        "ecg": "心电图：床旁已做",
        "scan": "CT 室：已做完",
        "results": "结果已出：肌钙蛋白很高，医生已处理",
        "identify": "家人赶到：知道是谁了",
        "suture": "抢救室：伤口已缝合",
        "medicine": "急诊药房：破伤风针已取",
        "finish": "急诊：病情稳定，可以离开",
    },
    "pay_first": {
        "register": "挂号：全科，已挂上",
        "pay_register": "收费处：挂号费、诊察费已付",
        "see": "诊室：看完了，开了肝肾功能和腹部彩超",
        "pay_tests": "收费处：检查费已付",
        "blood": "抽血处：已采血",
        "scan": "超声科：腹部彩超已做完",
        "results": "报告都已出",
        "prescribe": "诊室：开了胃药",
        "pay_medicine": "收费处：药费已付",
        "medicine": "西药房：药已取走",
        "finish": "诊室：今天的就诊结束",
    },
}

REPORTS: dict[str, str] = {
    "ecg_ok": "窦性心律，正常心电图。",
    "echo_mild": "左房轻度增大，左室收缩功能正常，EF 62%。",
    "lipid_high": "低密度脂蛋白胆固醇 3.9 mmol/L，偏高；其余正常。",
    "ob_scan": "宫内单活胎，头位，大小与孕周相符。",
    "nst": "胎心监护反应型。",
    "hb_low": "血红蛋白 103 g/L，偏低；其余正常。",
    "urine_ok": "尿常规正常。",
    "crp": "白细胞 11.8×10⁹/L，C反应蛋白 18 mg/L，偏高。",
    "flu_no": "甲型、乙型流感病毒抗原阴性。",
    "troponin": "肌钙蛋白I 2.31 ng/mL，危急值，已电话通知医生。",
    "ecg_st": "Ⅱ、Ⅲ、aVF 导联ST段抬高。",
    "head_ok": "头颅CT平扫未见出血。",
    "sugar_ok": "糖化血红蛋白 5.6%，肾功能正常。",
    "abdomen_ok": "肝胆胰脾未见明显异常。",
    "normal": "未见明显异常。",
    "mild": "轻度异常，请结合临床。",
}
