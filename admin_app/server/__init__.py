"""How gunicorn serves Backdesk: its worker and its log; `gunicorn.conf.py` names both."""
