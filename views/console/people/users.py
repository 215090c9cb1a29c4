"""Users: the people known by sign-in."""

from admin_app.policies.permissions import Permission
from models import User
from views.console.framework.base import ConsoleModelView, reads
from views.console.framework.columns import Column
from views.console.framework.filters import Days, Exactly
from views.console.framework.list_specs import ListSpec, Sort
from views.console.framework.navigation import Menu
from views.console.framework.records import Group, RecordSpec, Related
from views.console.framework.searching import Search, part_of


class UsersView(ConsoleModelView):
    in_menu = Menu("Customers", "Users", "users", 110)
    permissions = reads(Permission.USERS_READ)
    listing = ListSpec(
        section="users",
        title="Users",
        one="user",
        model=User,
        columns=(
            Column("Open id", User.open_id, "code", link=("users", User.id)),
            Column("Name", User.name),
            Column("E-mail", User.email),
            Column("Role", User.role),
            Column("First seen", User.created_at, "time", sort="made"),
            Column("Last signed in", User.last_signed_in, "time"),
        ),
        sorts={
            "made": Sort("First seen", User.created_at, descending=True),
            "id": Sort("Order of arrival", User.id),
        },
        filters=(
            Days("made", "First seen", User.created_at),
            Exactly("email", "E-mail", User.email),
            Exactly("open_id", "Open id", User.open_id),
        ),
        search=Search(
            hint="E-mail or name or part of it, open id, number",
            emails=(User.email,),
            parts=(part_of(User.email), part_of(User.name)),
            exact=(User.open_id,),
            key=User.id,
        ),
        empty="Users appear when they sign in for the first time.",
    )
    record = RecordSpec(
        title=User.open_id,
        groups=(
            Group(
                "Person",
                (Column("Name", User.name), Column("E-mail", User.email), Column("Role", User.role)),
            ),
            Group(
                "Sign-in",
                (
                    Column("Open id", User.open_id, "code"),
                    Column("First seen", User.created_at, "time"),
                    Column("Last signed in", User.last_signed_in, "time"),
                    Column("Asked the sign-in provider", User.provider_asked_at, "time"),
                ),
            ),
        ),
        related=(
            Related("Addresses", "person-addresses", "account", User.open_id),
            Related("Profile of this account", "profiles", "account", User.open_id),
            Related("Profiles with this e-mail", "profiles", "email", User.email),
            Related("Purchases under this e-mail", "pending-profiles", "email", User.email),
            Related("Bookings with this e-mail", "bookings", "email", User.email),
        ),
    )
