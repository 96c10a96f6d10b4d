"""What a hospital's engineers watch: how many, how fast, how often not."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The figures of one process; names in docs/operations.md. Labels never hold ids."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("houfu_requests", "Answered requests", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            "houfu_request_seconds",
            "Time to the answer's head",
            ["route"],
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )
        self.streams = Gauge("houfu_streams_open", "Open streams", registry=registry)
        self.pushed = Gauge("houfu_rows_pushed", "Feed rows written to streams", registry=registry)
        self.slow = Gauge("houfu_streams_slow", "Streams closed because their reader was slow", registry=registry)
        self.pool = Gauge("houfu_db_connections_in_use", "Database connections in use", registry=registry)
        self.notices = Counter("houfu_pay_notices", "Payment notices by outcome", ["outcome"], registry=registry)
        self.wechat = Counter(
            "houfu_wechat_messages", "Messages of the account by outcome", ["outcome"], registry=registry
        )
        self.jobs = Counter("houfu_jobs", "Runs of jobs", ["job", "outcome"], registry=registry)
        self.sweeps = Counter("houfu_sweeps", "Runs of sweeps", ["sweep", "outcome"], registry=registry)
        self.reconcile = Gauge(
            "houfu_reconcile_diff_fen", "Open differences between the books of all sides, in fen", registry=registry
        )
        self.audit = Gauge("houfu_audit_findings", "Rows that break an invariant", ["check"], registry=registry)

    def job(self, name: str, error: BaseException | None) -> None:
        """``kernel.jobs.Watch``."""
        self.jobs.labels(name, "done" if error is None else type(error).__name__).inc()

    def text(self) -> bytes:
        """The page Prometheus reads."""
        return generate_latest(self.registry)
