"""The guarded base of every console page: nothing is reachable without a permission named for it.

Flask-Admin is the frame only. Its derived forms, inline edit, actions and exports do not exist here, not even
as routes; what changes data is a hand-written page that shows a plan and calls one service.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote

import flask_admin
from flask import Flask, current_app, flash, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.contrib.sqla import ModelView
from flask_admin.theme import Theme
from werkzeug.local import LocalProxy
from wtforms import Form

from admin_app.context import Ctx
from admin_app.errors import Forbidden, InvalidInput
from admin_app.policies.permissions import REFUSALS, Permission
from admin_app.services.core.amounts import money_text
from admin_app.services.core.field_labels import label_of
from views.backdesk import backdesk, request_id
from views.console.framework import navigation
from views.console.framework.columns import plain_text, time_text
from views.console.framework.current_staff import Viewer, viewer, viewer_or_none
from views.console.framework.list_specs import ListSpec
from views.console.framework.listing import read_query, show_list
from views.console.framework.navigation import Menu
from views.console.framework.plan_headings import by_record, written
from views.console.framework.records import RecordSpec, show_record
from views.reading import close_read_session, read_session

Exposed = TypeVar("Exposed", bound=Callable[..., ResponseReturnValue])

SECTIONS = "backdesk.sections"
# A record's number in an address. Larger ones would not fit the column, and the database would refuse the query.
KEY = "<int(max=9223372036854775807):key>"
NO_PERMISSIONS: Mapping[str, Permission] = MappingProxyType({})
SIGNED_OUT_MEANWHILE = "You were signed out meanwhile, so nothing was done. Sign in and do it again."
UNREADABLE = "The address or the form holds characters that cannot be stored. Remove them and try again."


def reads(permission: Permission) -> Mapping[str, Permission]:
    """The permissions of a section that is only looked at."""
    return MappingProxyType({"index_view": permission, "details_view": permission})


def page(url: str, *, methods: tuple[str, ...] = ("GET",)) -> Callable[[Exposed], Exposed]:
    """Expose a method of a console view under this address."""
    return cast(Callable[[Exposed], Exposed], expose(url, methods=methods))


def command(url: str) -> Callable[[Exposed], Exposed]:
    """Expose a command's page: GET shows its plan, POST acts."""
    return page(url, methods=("GET", "POST"))


@contextmanager
def console_unit_of_work() -> Iterator[Ctx]:
    """One transaction in the name of the signed-in person; commits when the block ends well."""
    staff = viewer().staff
    close_read_session()  # what was read for the page is out of date after the act
    with backdesk().db.unit_of_work(staff, request_id=request_id()) as ctx:
        yield ctx


class Guarded:
    """Default deny: an endpoint without a permission is refused, whoever asks."""

    permissions: ClassVar[Mapping[str, Permission]] = NO_PERMISSIONS
    # Its place in the menu; a page that is reached from others has none.
    in_menu: ClassVar[Menu | None] = None
    _default_view: Any

    def is_accessible(self) -> bool:
        return False

    def _handle_view(self, name: str, **_arguments: Any) -> ResponseReturnValue | None:
        person = viewer_or_none()
        if person is None:
            return redirect(sign_in_address())
        permission = self.permissions.get(name)
        if permission is None:
            raise Forbidden
        if not person.may(permission):
            raise Forbidden(REFUSALS.get(permission))
        _refuse_unreadable()
        return None

    def neighbour(self, section: str) -> "ConsoleModelView":
        """Another section of this console."""
        found: ConsoleModelView = current_app.extensions[SECTIONS][section]
        return found

    def render(self, template: str, **values: Any) -> str:
        return cast(str, super().render(template, **values))  # type: ignore[misc]

    def _run_view(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # The frame would call a view again with other arguments after any TypeError, its own bugs included.
        return fn(self, *args, **kwargs)


class ConsoleView(Guarded, flask_admin.BaseView):  # type: ignore[misc]
    """A hand-written page or group of pages."""

    def __init__(self, **names: str) -> None:
        # The frame wants a first page; a group of command pages has none, and its menu is not shown.
        self._default_view = self._default_view or next(iter(self.permissions))
        super().__init__(**names)


class _Reads:
    """Handed to Flask-Admin as its database: whatever the frame reads, it reads by the guarded session."""

    session = LocalProxy(read_session)


class ConsoleModelView(Guarded, ModelView):  # type: ignore[misc]
    """One table as a section: a list and a page per record, both from the same declared scope."""

    listing: ClassVar[ListSpec]
    record: ClassVar[RecordSpec]
    record_template: ClassVar[str] = "console/framework/details.html"

    # Names without a function have no route: the frame's own writers, exports and look-ups do not exist.
    create_view = edit_view = delete_view = action_view = None
    export = ajax_lookup = ajax_update = None
    can_create = can_edit = can_delete = can_export = False
    column_list = ()

    def __init__(self) -> None:
        section = self.listing.section
        super().__init__(self.listing.model, _Reads(), name=self.listing.title, endpoint=section, url=section)

    def scaffold_form(self) -> Any:
        return Form

    def scaffold_sortable_columns(self) -> dict[str, str]:
        return {}

    def scaffold_auto_joins(self) -> list[Any]:
        return []

    def more(self, record_id: str) -> dict[str, Any]:
        """What a section's own record template shows besides; asked for records that exist."""
        return {}

    def get_query(self) -> Any:
        statement, own = self.listing.scoped(), self.listing.own
        if own is not None and self.listing.is_narrowed_for(viewer()):
            return statement.where(own[0] == viewer().staff.id)
        return statement

    def get_one(self, id: Any) -> Any:
        key = self.listing.parse_key(str(id))
        if key is None:
            return None
        return read_session().scalar(self.get_query().where(self.listing.key == key))

    @page("/")
    def index_view(self) -> ResponseReturnValue:
        if "" in request.args.values():
            # A form sends its empty fields too; the address that people keep and share has none of them.
            return redirect(read_query(self.listing, request.args, viewer()).url())
        return self.render(
            "console/framework/list.html", **show_list(read_session(), self.listing, request.args, viewer())
        )

    @page("/<record_id>")
    def details_view(self, record_id: str) -> ResponseReturnValue:
        shown = show_record(read_session(), self, record_id, viewer())
        return self.render(self.record_template, **shown, **self.more(record_id))


def sign_in_address() -> str:
    """The sign-in page, which leads back here, or from a form that was sent to the page it stands on."""
    wished = request.full_path.rstrip("?")
    if request.method == "POST":
        flash(SIGNED_OUT_MEANWHILE, "warning")
        wished = (request.referrer or "").removeprefix(request.host_url.rstrip("/"))
        if not wished.startswith("/admin/"):
            return "/login"
    return f"/login?next={quote(wished, safe='/')}"


def _refuse_unreadable() -> None:
    # PostgreSQL stores no NUL; the driver would raise far below the door.
    sources = (request.args.items(multi=True), request.form.items(multi=True), (request.view_args or {}).items())
    if any("\0" in f"{name}{value}" for pairs in sources for name, value in pairs):
        raise InvalidInput(UNREADABLE, code="unreadable_input")


def _menu(views: Iterable[ConsoleView | ConsoleModelView]) -> tuple[navigation.Group, ...]:
    """Each page that has a place in it, under its own address, for whoever may read its first page."""
    placed = ((view, view.in_menu) for view in views if view.in_menu)
    return navigation.menu_of((menu, f"{view.url}/", next(iter(view.permissions.values()))) for view, menu in placed)


def register(app: Flask, home: ConsoleView, views: Sequence[ConsoleView | ConsoleModelView]) -> None:
    """Mount the console at `/admin/`: Flask-Admin with our theme, no assets of its own and these views."""
    theme = Theme(folder="console", base_template="console/framework/shell.html")
    admin = flask_admin.Admin(app, name="Backdesk", index_view=home, theme=theme)
    sections = app.extensions[SECTIONS] = {}
    for view in views:
        admin.add_view(view)
        if isinstance(view, ConsoleModelView):
            sections[view.listing.section] = view
    menu = _menu([home, *views])
    app.teardown_request(close_read_session)

    app.jinja_env.filters["in_zone"] = time_text
    app.jinja_env.filters["money"] = money_text
    app.jinja_env.filters["as_text"] = plain_text
    app.jinja_env.filters["by_record"] = by_record
    app.jinja_env.filters["written"] = written
    app.jinja_env.filters["field_label"] = label_of
    # A global, because macros see no values of the page.
    app.jinja_env.globals["carried_plan"] = lambda: g.get("carried_plan", [])

    @app.context_processor
    def shell() -> dict[str, Any]:
        person: Viewer | None = g.get("viewer")
        place = navigation.of(menu, person, request.path)
        is_page = place.current is not None and place.current.href == request.path
        return {"viewer": person, "navigation": place, "sidebar": sidebar(place, is_page)}

    @cache
    def sidebar(place: navigation.Navigation, is_page: bool) -> str:
        drawn: str = app.jinja_env.get_template("console/framework/sidebar.html").module.sidebar(  # type: ignore[attr-defined]
            place.groups, place.current, is_page
        )
        return drawn
