"""The text messages of the demo as phones show them, by the number of their approved template."""

CODE = "2400001"
BIND = "2400009"
TEMPLATES = {
    CODE: "验证码 {1}，{2} 分钟内有效。不是您本人在办，就不用理会。",
    BIND: "{1}想替您付看病的钱，只能付钱，看不到病情。同意就把验证码 {2} 告诉对方，{3} 分钟内有效。不认识就不要告诉任何人。",
}
