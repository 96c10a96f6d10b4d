"""The same inserts by PostgreSQL's own load program: how much of a bare database's speed is left for a charge event.

What a charge event inserts is not written down here but looked up: the tables that grew while charges were posted,
and a real row of each. ``pgbench`` inserts those rows, with fresh keys, into copies of the tables (same columns,
indexes and checks, no foreign keys, no triggers: what stands beside us has the lighter load).
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from psycopg import sql

from benchmarks.figures import Figure
from benchmarks.load import sender
from benchmarks.stand import Stand
from houfu.embedded import binaries

LINES, BATCH = 32, 100
SINGLE_WAS, BATCH_WAS = 0.29, 0.95  # what a prototype without rules, views and sealing reached


def grown(stand: Stand) -> dict[str, int]:
    """Rows inserted so far, by table."""
    stand.rows("SELECT pg_stat_clear_snapshot()")
    return {
        name: int(count)
        for name, count in stand.rows("SELECT relname, n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'public'")
    }


def measure(stand: Stand, seconds: float) -> list[Figure]:
    """Charges as fast as they are answered, one a post and a hundred a post, and pgbench beside them."""
    figures: list[Figure] = []
    before = grown(stand)
    rates: dict[str, float] = {}
    events = 0
    for name, size, lines in (("single", 1, LINES), ("batch", BATCH, 4)):
        used = stand.cpu()
        answer = sender(stand, lines=lines, seconds=seconds, size=size)
        taken = answer["said"]["accepted"]
        events += taken
        rates[name] = taken / answer["seconds"]
        how = f"{lines} connections, {size} a post; {(stand.cpu() - used) / taken * 1e6:.0f} µs processor an event"
        figures.append(Figure(f"intake_{name}_per_s", f"charge events taken ({name})", rates[name], "/s", note=how))
    stand.rows("SELECT pg_stat_force_next_flush()")
    inserts = {t: round((n - before.get(t, 0)) / events) for t, n in grown(stand).items()}
    inserts = {t: n for t, n in inserts.items() if n > 0 and not t.startswith("procrastinate")}
    script = _script(stand, inserts)
    bare = _pgbench(stand, script, seconds)
    what = ", ".join(f"{n} {t}" if n > 1 else t for t, n in sorted(inserts.items()))
    figures.append(Figure("pgbench_per_s", "pgbench, the same inserts", bare, "/s", note=f"{LINES} clients: {what}"))
    for name, was in (("single", SINGLE_WAS), ("batch", BATCH_WAS)):
        figures.append(
            Figure(f"ratio_{name}", f"share of pgbench ({name})", rates[name] / bare, "", note=f"a prototype: {was}")
        )
    return figures


def _script(stand: Stand, inserts: dict[str, int]) -> Path:
    stand.rows("CREATE SCHEMA IF NOT EXISTS bare")
    statements = ["BEGIN;"]
    for table, count in sorted(inserts.items()):
        stand.rows(f'CREATE TABLE bare."{table}" (LIKE public."{table}" INCLUDING ALL)')
        statements += [_insert(stand, table)] * count
    script = stand.folder / "charge.sql"
    script.write_text("\n".join([*statements, "END;"]) + "\n", "utf-8")
    script.chmod(0o644)
    return script


def _insert(stand: Stand, table: str) -> str:
    columns = stand.rows(
        f"""SELECT a.attname, format_type(a.atttypid, NULL), a.attidentity <> '', EXISTS (
                SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey))
            FROM pg_attribute a
            WHERE a.attrelid = 'public."{table}"'::regclass AND a.attnum > 0 AND NOT a.attisdropped"""  # noqa: S608
    )
    wanted = [name for name, _, identity, _ in columns if not identity]
    quoted = ", ".join(f'"{n}"::text' for n in wanted)
    row = stand.rows(f'SELECT {quoted} FROM public."{table}" ORDER BY ctid DESC LIMIT 1')[0]  # noqa: S608
    kinds = {name: (kind, unique) for name, kind, _, unique in columns}
    values = [_value(text, *kinds[name]) for name, text in zip(wanted, row, strict=True)]
    names = ", ".join(f'"{n}"' for n in wanted)
    return f'INSERT INTO bare."{table}" ({names}) VALUES ({", ".join(values)});'  # noqa: S608


_FRESH = {
    "uuid": "gen_random_uuid()",
    "bytea": "sha256(gen_random_uuid()::text::bytea)",
    "text": "gen_random_uuid()::text",
}


def _value(text: Any, kind: str, unique: bool) -> str:
    if text is None:
        return "NULL"
    if unique:
        return _FRESH.get(kind, _FRESH["text"] if "char" in kind else "(random() * 1e15)::bigint")
    # pgbench takes a colon before a name for a variable of its own.
    return "(" + sql.Literal(text).as_string(None).replace(":", "'||chr(58)||'") + f")::{kind}"


def _pgbench(stand: Stand, script: Path, seconds: float) -> float:
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PG")}
    command = [
        str(binaries() / "pgbench"),
        "--no-vacuum",
        "-c",
        str(LINES),
        "-j",
        "1",
        "-T",
        str(max(1, round(seconds))),
    ]
    command += ["-f", str(script), stand.conninfo]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench: {done.stderr[-800:]}")
    return float(found[1])
