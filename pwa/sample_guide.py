"""What the guide's pages look like: the nurse's page, and the patient's in the states it can be in."""

from dataclasses import replace

from markupsafe import Markup

from pwa import views as v
from pwa.sample_morning import HEAD, STEPS, Sample
from words.guide_move import move

PLACES = (
    ("抽血处", "门诊楼2楼", "/guide"),
    ("心电图室", "门诊楼3楼", "/guide"),
    ("磁共振室", "医技楼1楼", "/guide"),
)
FLOORS = (("门诊楼1楼", "/where?floor=0#map", False), ("门诊楼2楼", "/where?floor=1#map", True))
FLOOR = Markup(
    '<svg viewBox="0 0 620 200" width="620" height="200" aria-hidden="true"><title>门诊楼2楼</title>'
    '<g stroke="#b9b9b4"><g fill="#f2f2ee"><path d="M0 80h320v40h-320z"/></g><g fill="#fff">'
    '<path d="M10 10h140v70h-140z"/><path d="M170 120h140v70h-140z"/></g></g>'
    '<g font-size="13" font-family="sans-serif" text-anchor="middle" fill="#222"><text x="80" y="49">抽血处'
    '</text><text x="240" y="159">心电图室</text></g><g fill-opacity="0"><a href="/guide" tabindex="-1">'
    '<path d="M10 10h140v70h-140z"/></a></g></svg>'
)

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
        "guide-booked": Sample(
            "guide.html",
            v.Guide(
                HEAD,
                replace(STEPS[1], ahead=None),
                STEPS,
                None,
                walk="1分钟以内",
                start="门诊大厅",
                where_url="/where",
                map_number=3,
                plan=("先抽血：空腹，离得近。", "最后心电图：护士说胸片做完再去，那边现在忙不过来。"),
                plan_note="现在不知道各处排队的人数，先按检查要求和远近排。有的地方地图上还没有，走路的时间是估的。",
                appointments=(
                    v.Appointment(move("ask", "头颅磁共振", "10:00", "10:20", missed=True), "/m"),
                    v.Appointment(move("asked", "腹部彩超", "10:30", "10:45")),
                    v.Appointment(move("refused", "肺功能", "11:00", "11:20")),
                    v.Appointment(move(None, "心脏彩超", "14:00", "14:20")),
                ),
                medicines=(("阿司匹林肠溶片", "一天一次，一次一片，饭前吃。"),),
            ),
            v.Nav("guide", "v1"),
        ),
        "guide_where": Sample("guide_where.html", v.Where(HEAD, PLACES, FLOORS, FLOOR)),
        "guide_where-none": Sample("guide_where.html", v.Where(HEAD)),
        "desk_plan-empty": Sample("desk_plan.html", v.DeskPlan(HEAD, "8426109355", (), "walk")),
    }
