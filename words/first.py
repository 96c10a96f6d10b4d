"""What is paid before it is done, in a nurse's words."""

from words.money import rmb


class First:
    """On the bill, the choice and the pay sheet."""

    tag = "先付再做"
    none = "还没有做完的项目。"
    going_back = "不做了，正在退"
    says = "先付再做。付过又不想做，可以取消，钱退回原来的账户。"
    besides = "标着“先付再做”的，要先付。"
    go = "选要付的"
    one = "付这一项"
    which = "先付再做，这次付哪几项"
    done = "已做完"
    back = "付过又不做了，钱会退回原来的账户。"
    next = "下一步，看要付多少"
    whole = "这几项一共"

    @staticmethod
    def total(fen: int) -> str:
        """What is paid before it is done."""
        return f"先付再做的 {rmb(fen)}"

    @staticmethod
    def prepaid(fen: int) -> str:
        """What is paid and not done."""
        return f"付过，还没做的 {rmb(fen)}。不做就退。"

    @staticmethod
    def planned(fen: int) -> str:
        """What may still come, some of it paid first."""
        return f"还没做的一共 {rmb(fen)}。"
