"""`make run` with the small programs: `small_run.py <folder> [--die-with-parent]`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from admin_app.launcher.run import Commands, main

PROGRAMS = str(Path(__file__).with_name("programs.py"))

if __name__ == "__main__":
    folder = sys.argv.pop(1)
    commands = Commands(
        plan=(PROGRAMS, "plan", folder),
        migrate=(PROGRAMS, "migrate", folder),
        fill=(PROGRAMS, "fill", folder),
        simulator=(PROGRAMS, "simulator", folder),
        worker=(PROGRAMS, "worker", folder),
        web=(PROGRAMS, "web", folder),
    )
    sys.exit(main(root=Path(folder), commands=commands))
