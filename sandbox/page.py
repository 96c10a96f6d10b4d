"""The frame around the few pages the made-up outside world shows to people."""

import html

_STYLE = """
body{margin:0;background:#ededed;font:17px/1.6 system-ui,"Noto Sans CJK SC",sans-serif;color:#111}
main{max-width:420px;margin:0 auto;padding:24px 16px}h1{font-size:20px;font-weight:600}
.amount{font-size:36px;font-weight:600;font-variant-numeric:tabular-nums;margin:8px 0}
button,a.button{display:block;width:100%;box-sizing:border-box;margin:16px 0;padding:12px;border:0;border-radius:8px;
background:#018942;color:#fff;font:inherit;text-align:center;text-decoration:none}
button.quiet{background:#e2e2e2;color:#111}
a.plain{display:block;text-align:center;color:#576b95;text-decoration:none}
select{font:inherit;padding:6px}.note{color:#666;font-size:14px}
"""


def page(title: str, body: str) -> str:
    """One narrow page; ``body`` is HTML already escaped by the caller."""
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"
    )
