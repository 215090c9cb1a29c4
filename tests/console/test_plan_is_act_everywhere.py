"""No command of the console without a case of "plan = act": every form of it that posts is in one, or says why not."""

from importlib import import_module
from pathlib import Path

from flask import Flask

# What changes nothing that anybody else sees, or is a person's own.
NO_PLAN = {
    **dict.fromkeys(
        ("exports.make", "exports.download", "months.export"), "a file is made; nothing changes, and the audit says who"
    ),
    **dict.fromkeys(
        ("my-account.end_others", "my-account.end_session", "my-account.password", "my-account.time_zone"),
        "a person's own account, changed by a form of its own",
    ),
}


def test_no_command_is_left_out(app: Flask) -> None:
    walked, excused = set[str](), set(NO_PLAN)
    for file in sorted(Path(__file__).parent.glob("test_plan_is_act*.py")):
        cases = import_module(f"tests.console.{file.stem}")
        walked |= {name.partition(":")[0] for name in getattr(cases, "CASES", ())}
        excused |= set(getattr(cases, "NO_PLAN", ()))
    commands = {
        str(rule.endpoint)
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.rule.startswith("/admin")
    }
    assert not walked & excused
    assert sorted(commands - walked - excused) == []
    assert sorted((walked | excused) - commands) == []
