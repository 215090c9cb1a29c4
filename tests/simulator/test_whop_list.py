"""Filters, order and cursors of the simulated list of memberships."""

import httpx
import pytest

from admin_app.simulator import control

HEADERS = {"Authorization": "Bearer apik_sim"}


@pytest.fixture
def listed(simulator):
    control.seed_memberships(
        simulator,
        [
            {
                "membership_id": f"mem_{number}",
                "user_id": f"user_{number % 3}",
                "email": f"c{number}@example.com",
                "plan": "yearly" if number % 2 else "monthly",
                "status": "canceled" if number == 5 else "active",
                "cancel_at_period_end": number == 4,
                "created_at": f"2026-11-0{number + 1}T00:00:00Z",
            }
            for number in range(7)
        ],
    )

    def ask(query: str = "") -> tuple[list[str], dict[str, object]]:
        answer = httpx.get(f"{simulator}/whop/api/v1/memberships?{query}", headers=HEADERS).json()
        return [item["id"].removeprefix("mem_") for item in answer["data"]], answer["page_info"]

    return ask


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "6543210"),
        ("direction=asc", "0123456"),
        ("statuses=canceled", "5"),
        ("status=canceling", "4"),
        ("statuses=canceled&statuses=canceling", "54"),
        ("statuses=active", "63210"),
        ("user_id=user_0", "630"),
        ("plan_ids=plan_DemoYearly001", "531"),
        ("plan_id=plan_DemoYearly001&user_id=user_0", "3"),
        ("created_after=2026-11-05T12:00:00.000Z", "65"),
        ("created_before=2026-11-02T12:00:00.000Z", "10"),
        ("account_id=biz_other", ""),
        ("first=2", "65"),
        ("last=2", "10"),
    ],
)
def test_filters_and_order(listed, query, expected):
    assert "".join(listed(query)[0]) == expected


def test_pages_go_forward_and_back(listed):
    seen, info = listed("first=3")
    assert (seen, info["has_next_page"], info["has_previous_page"]) == (["6", "5", "4"], True, False)
    seen, info = listed(f"first=3&after={info['end_cursor']}")
    assert (seen, info["has_next_page"], info["has_previous_page"]) == (["3", "2", "1"], True, True)
    back, _ = listed(f"last=2&before={info['start_cursor']}")
    assert back == ["5", "4"]
    seen, info = listed(f"first=3&after={info['end_cursor']}")
    assert (seen, info["has_next_page"]) == (["0"], False)
