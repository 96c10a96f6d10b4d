"""Believable ways between the places of the invented morning, and the pictures of their floors."""

from collections.abc import Mapping

from markupsafe import Markup

from pwa import views as v
from pwa.sample_morning import HEAD, Sample
from words.guide_way import NO_WAY, WITHOUT_STEPS, cut

_ROOMS = (
    '<g stroke="#a9b4bf" fill="#fff"><path d="M8 8h108v72h-108z"/><path d="M8 120h108v72h-108z"/>'
    '<path d="M168 120h144v72h-144z"/><path d="M168 8h144v72h-144z"/></g>'
)


def _floor(name: str, way: str, start: str, end: str, to: str, words: str) -> tuple[str, Markup]:
    """A floor as ``guide.maps.picture`` draws it."""
    (x, y), (ex, ey) = way[1:].split("L")[0].split(), way.split("L")[-1].split()
    hop = f' data-to="{to}"' if to else ""
    return name, Markup(  # noqa: S704 - drawn here
        f'<svg viewBox="0 0 320 200" role="img"><title>{name}平面图，去抽血处的路</title>{_ROOMS}'
        f'<path d="{way}" pathLength="1" fill="none" stroke="#b93c0a" stroke-width="5"/>'
        f'<path class="dot" d="{way}" pathLength="1" fill="none" stroke="#1d4fd8" stroke-width="13"'
        ' stroke-linecap="round" visibility="hidden"/>'
        f'<circle cx="{x}" cy="{y}" r="8" fill="#1d4fd8" stroke="#fff"/>'
        f'<circle cx="{ex}" cy="{ey}" r="8" fill="#b93c0a" stroke="#fff"/>'
        '<g font-size="13" fill="#222" text-anchor="middle" font-family="sans-serif">'
        f'<text x="62" y="50">检验窗口</text><text x="62" y="162">超声科</text><text x="240" y="162">候诊区</text>'
        f'<rect x="0" y="0" width="{13 * len(words) + 16}" height="22" fill="#333"/>'
        f'<text x="{6.5 * len(words) + 8}" y="16" fill="#fff">{words}</text>'
        f'<g{hop}><rect x="{int(ex) - 34}" y="{int(ey) - 35}" width="68" height="22" rx="11" fill="#b93c0a"/>'
        f'<text x="{ex}" y="{int(ey) - 19}" fill="#fff">{end}</text></g>'
        f'<rect x="{int(x) - 34}" y="{int(y) + 13}" width="68" height="22" rx="11" fill="#1d4fd8"/>'
        f'<text x="{x}" y="{int(y) + 29}" fill="#fff">{start}</text></g></svg>'
    )


def floors(key: str) -> tuple[tuple[str, Markup], ...]:
    """Two floors that turn to each other."""
    return (
        _floor("门诊楼1楼", "M60 150L142 150L142 60", "从这里走", "去2楼", f"{key}-1", "门诊楼1楼"),
        _floor("门诊楼2楼", "M142 160L142 100L240 100L240 78", "从1楼来", "抽血处", "", "门诊楼2楼"),
    )


def samples() -> Mapping[str, Sample]:
    """The page of all ways, and the same when there is nowhere to go."""
    blood = v.OneWay(
        "抽血处", "约2–3分钟", ("乘2号电梯到2楼。", "左手边就是抽血处。"), "乘2号电梯到2楼。", floors("way-0")
    )
    near = v.OneWay("超声科", "1分钟以内", ("出门左转，直走约20米，“超声科”在正前方。",))
    starts = (("心血管内科", (blood, near)), ("抽血处", (v.OneWay("心血管内科", "", (NO_WAY,)),)))
    return {
        "ways": Sample("ways.html", v.Ways(HEAD, starts, (), (WITHOUT_STEPS, "?"), cut(20), 3)),
        "ways-empty": Sample("ways.html", v.Ways(HEAD, ())),
    }
