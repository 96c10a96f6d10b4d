"""Looks the installation over: what is wrong, and how to mend it."""

import ctypes.util
import platform
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Literal
from urllib.parse import urlsplit

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from houfu import migrate
from houfu.embedded import RANDOM_PAGE_COST, EmbeddedPostgresError
from houfu.server import database
from kernel.clock import wall_clock
from kernel.crypto import UnreadableError, load_vault
from kernel.outside import NotConfigured
from kernel.settings import Settings, SettingsError

Verdict = Literal["ok", "note", "bad"]
DRIFT_SECONDS = 2.0
OLDEST_SERVER = 150000
TURNING_DISKS = 2.0
CERTIFICATE_LEFT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``mend`` says what to do when it is not ``ok``."""

    what: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one after the other; nothing is changed but an own database being started and stopped."""
    yield from _settings(settings)
    yield _keys(settings)
    yield from _database(settings)
    yield from _lines(settings)
    yield from _reminders(settings)
    yield from _paper()
    yield _files()


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", "ok", f"{settings.base_url}, data in {settings.data_dir}")
    if settings.base_url.startswith("http://") and settings.host not in {"127.0.0.1", "localhost", "::1"}:
        yield Finding(
            "settings",
            "bad",
            "phones would come without TLS",
            "set HOUFU_PUBLIC_URL to https://… and put a proxy in front",
        )


def _keys(settings: Settings) -> Finding:
    path = settings.keys
    if not path.exists():
        return Finding(
            "keys", "note", f"{path} will be made on first start", "back it up then: without it data stay sealed"
        )
    try:
        vault = load_vault(path)
    except (ValueError, OSError) as error:
        return Finding("keys", "bad", f"{path}: {error}", "restore it from the backup")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("keys", "bad", f"{path} can be read by others", f"chmod 600 {path}")
    return Finding("keys", "ok", f"generation {vault.current} writes, {len(vault.generations)} readable")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with database(settings, upgrade=False) as own:
            yield from _server(own.database_url or "", settings)
    except EmbeddedPostgresError as error:
        yield Finding("database", "bad", str(error), "mend that, or set HOUFU_DATABASE_URL")
    except SettingsError as error:
        yield Finding("keys", "bad", str(error), "restore the key file")
    except (psycopg.Error, DBAPIError) as error:
        why = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        yield Finding("database", "bad", f"no connection: {why}", "mend that, or HOUFU_DATABASE_URL")
    except OSError as error:
        yield Finding("database", "bad", str(error), "set HOUFU_DATA_DIR to a folder this user may write to")


def _server(url: str, settings: Settings) -> Iterator[Finding]:
    where = make_url(url)
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(plain, connect_timeout=5) as connection:
        version = connection.info.server_version
        row = connection.execute(
            "SELECT clock_timestamp(), current_setting('synchronous_commit'), current_setting('fsync'),"
            " current_setting('full_page_writes'), current_setting('server_encoding'),"
            " current_setting('random_page_cost')::float"
        ).fetchone()
    if row is None:
        return
    moment, commit, fsync, pages, encoding, page_cost = row
    named = (
        f"PostgreSQL {version // 10000}.{version % 10000}, {where.database} at {where.host or where.query.get('host')}"
    )
    if version < OLDEST_SERVER:
        yield Finding("database", "bad", named, "15 or newer is needed")
    else:
        yield Finding("database", "ok", named)
    for name, value in (("synchronous_commit", commit), ("fsync", fsync), ("full_page_writes", pages)):
        if value == "off":
            yield Finding("database", "bad", f"{name} is off: a power cut loses money", f"set {name} = on")
    if page_cost > TURNING_DISKS:
        found = f"random_page_cost is {page_cost:g}, as for turning disks: young tables are read whole, again and again"
        yield Finding("database", "note", found, f"set random_page_cost = {RANDOM_PAGE_COST}, unless its disks turn")
    if encoding != "UTF8":
        yield Finding("database", "bad", f"encoding {encoding}", "make the database with ENCODING 'UTF8'")
    drift = abs((wall_clock() - moment).total_seconds())
    verdict: Verdict = "ok" if drift < DRIFT_SECONDS else "bad"
    yield Finding("clock", verdict, f"{drift:.2f} s from the database's", "" if verdict == "ok" else "run NTP on both")
    at, head = migrate.current(url), migrate.head()
    if at == head:
        yield Finding("migrations", "ok", f"at {head}")
        yield from _keys_fit(url, settings)
    else:
        yield Finding("migrations", "bad", f"at {at or 'nothing'}, {head} is needed", "houfu migrate")


def _keys_fit(url: str, settings: Settings) -> Iterator[Finding]:
    """Whether the key file opens what lies in the database: after a restore they may be of two installations."""
    if not settings.keys.exists():
        return  # nothing lies in the database yet: ``database`` would have refused
    try:
        vault = load_vault(settings.keys)
    except (ValueError, OSError):
        return  # said already
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(plain, connect_timeout=5) as connection:
        key = connection.execute("SELECT id, secret_sealed FROM his_key ORDER BY id LIMIT 1").fetchone()
        person = connection.execute(
            "SELECT id, phone_sealed, phone_index FROM person WHERE phone_index IS NOT NULL ORDER BY id LIMIT 1"
        ).fetchone()
        told = (
            "SELECT DISTINCT get_byte(name_sealed, 0) FROM person UNION SELECT get_byte(secret_sealed, 0) FROM his_key"
        )
        generations = {row[0] for row in connection.execute(told)}
    mend = f"put back the key file that belongs to this database ({settings.keys}); start nothing before"
    if missing := sorted(generations - set(vault.generations)):
        yield Finding("keys", "bad", f"sealed with master {', '.join(map(str, missing))}, which is not there", mend)
        return
    try:
        if key is not None:
            vault.open(key[1], "his_key", key[0])
        phone = vault.open(person[1], "person", "phone", person[0]) if person is not None else None
    except UnreadableError:
        yield Finding("keys", "bad", "they do not open what lies in the database", mend)
        return
    if phone is not None and person is not None and vault.index("phone", phone) != person[2]:
        yield Finding("keys", "bad", "the index line is another: nobody is found by number or phone", mend)


def _lines(settings: Settings) -> Iterator[Finding]:
    from houfu import lines

    tries: list[tuple[str, str, Callable[[Settings], object]]] = [
        ("WeChat", "HOUFU_WECHAT_APPID", lines._wechat),
        ("WeChat's messages", "HOUFU_WECHAT_CALLBACK_TOKEN", _account_desk),
        ("WeChat mini-program", "HOUFU_WECHAT_MINI_APPID", _mini_program),
        ("WeChat Pay", "HOUFU_WECHAT_PAY_MCHID", lines._wechat_pay),
        ("WeChat faces", "HOUFU_WECHAT_FACE_APIV2_KEY", _faces),
        ("WeChat deductions", "HOUFU_WECHAT_DEDUCT_PLAN_ID", lines.wechat_deduct),
        ("insurance", "HOUFU_INSURANCE_BASE_URL", lines._insurance),
        ("WeChat insurance payment", "HOUFU_WECHAT_MIX_CITY_ID", lines.wechat_mix),
        ("SMS", "HOUFU_SMS_SECRET_ID", lines._sms),
        ("Web Push", "HOUFU_WEB_PUSH_PRIVATE_KEY", lines.web_push),
        ("timestamps", "HOUFU_TIMESTAMP_URL", lines._timestamps),
        ("credit platform", "HOUFU_CREDIT_URL", lines._credit),
    ]
    for name, setting, make in tries:
        try:
            made = make(settings)
        except NotConfigured as error:
            yield Finding(name, "bad", str(error), f"set HOUFU_{error.what.upper().replace('.', '_')}")
        except Exception as error:
            yield Finding(name, "bad", f"{type(error).__name__}: {error}", "check its settings")
        else:
            yield (
                Finding(name, "ok", "configured")
                if made
                else Finding(name, "note", "not set", f"{setting} switches it on")
            )


def _reminders(settings: Settings) -> Iterator[Finding]:
    """Whether each kind of message has its approved template, and where the SMS gateway is to report."""
    from adapters.wechat_messages import TemplatesError
    from api.callbacks.sms import secret_of
    from houfu import lines
    from notices.rules.reach import REACH, Kind

    try:
        wechat, texts = lines.templates(settings)
    except (TemplatesError, KeyError) as error:
        wanted = "see HOUFU_WECHAT_TEMPLATES and HOUFU_SMS_TEMPLATES in docs/operations.md"
        yield Finding("templates", "bad", str(error), wanted)
        return
    wants_text = {kind for kind, rule in REACH.items() if rule.sms_after or rule.guidance} | {Kind.TEST}
    for what, on, known, wanted_kinds in (
        ("WeChat templates", settings.wechat_appid, set(wechat), set(Kind)),
        ("SMS templates", settings.sms_secret_id, set(texts), wants_text),
    ):
        missing = ", ".join(k for k in Kind if k in wanted_kinds and k.value not in known)
        if on and missing:
            yield Finding(what, "note", f"none for: {missing}", "these kinds go by the next channel")
        elif on:
            yield Finding(what, "ok", "every kind has one")
    if settings.sms_secret_id and settings.keys.exists():
        path = f"{settings.base_url}/api/callbacks/sms/{secret_of(load_vault(settings.keys))}"
        yield Finding("SMS reports", "note", path, "give Tencent Cloud this address for status reports; it is a secret")


def _account_desk(settings: Settings) -> object:
    """What reads the account's messages; WeChat brings them to https only, and to no address with a port."""
    from houfu import lines

    script = urlsplit(settings.wechat_js)
    if settings.wechat_js and not settings.wechat_js.startswith("/") and script.scheme != "https":
        raise ValueError(f"HOUFU_WECHAT_JS is {settings.wechat_js}: a page loads it by https only")
    desk = lines.wechat_desk(settings)
    if desk is not None and not settings.wechat_appid:
        raise NotConfigured("wechat.appid")
    if desk is not None and settings.wechat_api_base_url.startswith("https://"):
        where = urlsplit(settings.base_url)
        if where.scheme != "https" or where.port not in (None, 443):
            raise ValueError(f"{settings.base_url}: WeChat needs https on the ordinary port")
    return desk


def _mini_program(settings: Settings) -> object:
    """The mini-program; its calls and its WebSocket go to https addresses registered with it."""
    if not settings.wechat_mini_appid:
        return None
    if not settings.wechat_mini_secret.get_secret_value():
        raise NotConfigured("wechat.mini_secret")
    if not settings.wechat_appid:
        raise NotConfigured("wechat.appid")
    return settings.wechat_mini_appid


def _faces(settings: Settings) -> object:
    """The line for faces, its key and certificate tried: a charge that cannot be undone is not offered."""
    from houfu import lines

    face = lines.wechat_face(settings)
    if face is not None:
        face.tls  # noqa: B018 - made by looking, and says what does not fit
        left = face.certificate_until - wall_clock()
        if left < CERTIFICATE_LEFT:
            raise ValueError(f"the certificate is good for {left.days} days more; have WeChat Pay make a new one")
    return face


def _paper() -> Iterator[Finding]:
    pango = ctypes.util.find_library("pango-1.0")
    if pango is None:
        yield Finding("pango", "bad", "missing: no PDF can be made", "apt install libpango-1.0-0 libpangoft2-1.0-0")
    else:
        yield Finding("pango", "ok", pango)
    from pwa.fonts import families

    found = families()
    if found is None:
        yield Finding("fonts", "note", "fontconfig's fc-list is missing, fonts not checked", "apt install fontconfig")
    elif found:
        yield Finding("fonts", "ok", ", ".join(found[:3]))
        yield _rare()
    else:
        yield Finding(
            "fonts",
            "bad",
            "no font with Chinese characters: letters wait unsealed, receipts have no PDF",
            "apt install fonts-noto-cjk; without root: npm install --prefix pwa --no-save"
            " @expo-google-fonts/noto-sans-sc",
        )


def _rare() -> Finding:
    """How many of GB 18030-2022's Chinese characters no font has; they are printed as their code in a box."""
    from pwa.fonts import unwritten

    missing, of = unwritten()
    if not missing:
        return Finding("rare characters", "ok", f"all {of:,} of GB 18030-2022 can be printed")
    return Finding(
        "rare characters",
        "note",
        f"{missing:,} of {of:,} Chinese characters of GB 18030-2022 have no font and are printed as their code",
        "apt install fonts-hanazono, or the hospital's GB 18030 font (docs/printing.md)",
    )


def _files() -> Finding:
    from pwa.render import HERE

    if not (HERE / "static" / "assets.json").exists():
        return Finding("web assets", "bad", "never built", "make setup")
    missing = [name for name in ("uvloop", "httptools", "procrastinate", "brotli") if not _importable(name)]
    if missing:
        return Finding("libraries", "bad", f"missing: {', '.join(missing)}", "make setup")
    return Finding("libraries", "ok", f"Python {platform.python_version()}, web assets built")


def _importable(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True
