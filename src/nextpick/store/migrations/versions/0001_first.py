"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "resource",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("arn", sa.String, nullable=False, unique=True),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("parent", sa.String),
        sa.Column("status", sa.String),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("internal", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("deleted_at", sa.Float),
        sa.Column("revision", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("resource_by_kind", "resource", ["account", "region", "kind", "seq"])
    op.create_index("resource_by_parent", "resource", ["parent", "kind"])
    op.create_table(
        "job",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("arn", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("message", sa.String),
        sa.Column("report", sa.JSON),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("heartbeat_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sqlite_autoincrement=True,
    )
    op.create_index("job_by_state", "job", ["state", "seq"])
    op.create_index("job_by_arn", "job", ["arn", "seq"])
    op.create_table(
        "secret", sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.LargeBinary)
    )
