"""The text messages of the demo as phones show them, by the number of their approved template."""

CODE = "2400001"
TEMPLATES = {CODE: "验证码 {1}，{2} 分钟内有效。不是您本人在办，就不用理会。"}
