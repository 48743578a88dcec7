from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index is built concurrently, outside any transaction

    dependencies = [
        ('connector', '0004_cancel_sent'),
        ('shopify_app', '0001_initial'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='inboxevent',
            index=models.Index(condition=models.Q(('done_at__isnull', True), ('due_at__isnull', True)), fields=['received_at'], name='inboxevent_parked'),
        ),
    ]
