from admin_app.config import Settings
from admin_app.factory import create_app

app = create_app(Settings())
