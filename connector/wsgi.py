import gc
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "connector.settings")
django = get_wsgi_application()

from connector import checks  # noqa: E402  (needs the apps)

checks.refuse_to_start()

from connector import urls, webhooks  # noqa: E402, F401  (need the apps; all views are loaded before anybody asks)

others = WhiteNoise(django, root=str(settings.STATIC_ROOT), prefix="static/", max_age=3600)
# Around Django, not inside it: a webhook passes no request, route or response of Django's, a static file no view.
application = webhooks.Doors(others)

# What is loaded by now stays: looking through it for garbage would stop all threads for some 40 ms, now and then.
gc.collect()
gc.freeze()
