"""What the guide's pages look like: the nurse's page, and the patient's in the states it can be in."""

from pwa import views as v
from pwa.sample_morning import HEAD, Sample

ROWS = (
    v.PlanRow("o1", "抽血", "门诊楼2楼，采血处1到6号窗口", "先抽血：护士安排的，那边现在人少。", first=True),
    v.PlanRow("o2", "心电图", "门诊楼3楼南侧，331室", "再心电图：您已经报到，先做完这一项。", reported=True),
    v.PlanRow("o3", "头颅磁共振", "医技楼1楼最里面，108室", "您装了心脏起搏器吗？做这项检查前请先问护士。", asks=True),
    v.PlanRow("o4", "胸片", "医技楼1楼，104室", "最后胸片：护士说11:30以后再去，那边现在忙不过来。"),
)


def samples() -> dict[str, Sample]:
    """The guide's pages by name."""
    times = (("t1", "10:45"), ("t2", "11:00"), ("t3", "11:15"))
    return {
        "desk_plan": Sample(
            "desk_plan.html",
            v.DeskPlan(HEAD, "8426109355", ROWS, "slow", by="示例甲 10:12 安排的", times=times),
        ),
        "desk_plan-empty": Sample("desk_plan.html", v.DeskPlan(HEAD, "8426109355", (), "walk")),
    }
