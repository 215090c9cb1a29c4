"""Prices in Ugandan shillings are kept as Stripe counts them, in hundredths that are always 00.

Before, 5,000 UGX was kept as 5000 and went to Stripe as 50. What was asked for and paid stays as it is: it is what
Stripe was told and took, and is shown as that now.

Locks: none beyond those of the rows that are written; there are few session types.
"""

from migrations import ops, retired

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

# Says that the prices are in hundredths: written with them, so that they are multiplied once however often this runs.
DONE = f"ugx_prices_{revision}"
UP = f"""
{retired.MAKE_SCHEMA}LOCK TABLE session_types IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE retired.{DONE} (id bigint);
UPDATE session_types SET price_amount = price_amount * 100 WHERE lower(price_currency) = 'ugx'
"""
DOWN = f"""
LOCK TABLE session_types IN SHARE ROW EXCLUSIVE MODE;
UPDATE session_types SET price_amount = price_amount / 100 WHERE lower(price_currency) = 'ugx';
DROP TABLE retired.{DONE}
"""


def upgrade() -> None:
    if ops.offline() or not ops.has_table(DONE, "retired"):
        ops.execute(UP)


def downgrade() -> None:
    if ops.offline() or ops.has_table(DONE, "retired"):
        ops.execute(DOWN)
