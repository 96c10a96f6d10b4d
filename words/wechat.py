"""What the hospital's official account says by itself: a greeting, a card that leads on, an answer to what is written."""

MENU = {"home": "诊后付", "pay": "缴费", "watch": "云伴诊"}


class Account:
    """Answers in the account's conversation; WeChat shows ``<a>`` as a link."""

    @staticmethod
    def welcome(house: str | None, home: str, phone: str | None) -> str:
        """Somebody follows the account."""
        hello = f"您好，这里是{house}。" if house else "您好。"
        return f'{hello}看病中途不用交钱，看完一次付清。\n<a href="{home}">点这里开始</a>{_call(phone)}'

    @staticmethod
    def help(pay: str, phone: str | None) -> str:
        """Somebody wrote or said something; nobody reads it here, and the menu is near."""
        return (
            "您好，收到了。这里是自动回话，要办的事点一下就行。\n"
            f'看账单、付款，点<a href="{pay}">缴费</a>。\n'
            "签“看完病再付”，点下面的“诊后付”。\n"
            f"陪家人看病，点下面的“云伴诊”。{_call(phone)}"
        )

    @staticmethod
    def expired(home: str, phone: str | None) -> str:
        """A code that was scanned too late, or is none of ours."""
        return f'这个二维码过期了。请对方再打开一次，您重新扫。\n也可以<a href="{home}">先去首页</a>。{_call(phone)}'


def _call(phone: str | None) -> str:
    return f"\n有事打电话 {phone}。" if phone else ""


# What a scanned code is about -> the card's title and what it says; no name, no department, no amount.
CARDS = {
    "bind": ("家人请您点这里", "点开看看家人想请您做什么。您同意了才算数。"),
    "letter": ("接着看同意书", "点开接着看，看完在这部手机上签名。"),
    "order": ("到了，去报到", "点开看这一项在哪里做，到了就报到。"),
    "pay": ("看一看，再付款", "点开先看医院和金额，看清楚再付。"),
    "visit": ("今天的就诊", "点开看下一步去哪，账单有多少。"),
}
