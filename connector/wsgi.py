import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connector.settings")
django = get_wsgi_application()
# Around Django, not inside it: static files pass no view, and the webhook paths no middleware.
application = WhiteNoise(django, root=str(settings.STATIC_ROOT), prefix="static/", max_age=3600)
