"""What a web server loads: the application, once nothing can be logged any more but by our rules."""

from admin_app import logs
from admin_app.config import Settings
from admin_app.factory import create_app

logs.library_lines()
app = create_app(Settings())
