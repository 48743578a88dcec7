from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index is built concurrently, outside any transaction

    dependencies = [
        ('connector', '0002_address_news'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='audit',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('failing_since__isnull', False)), fields=['failing_since'], name='audit_failing'),
        ),
        AddIndexConcurrently(
            model_name='audit',
            index=models.Index(fields=['finished_at'], name='audit_finished'),
        ),
        AddIndexConcurrently(
            model_name='connection',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('failing_since__isnull', False)), fields=['failing_since'], name='connection_failing'),
        ),
        AddIndexConcurrently(
            model_name='inboxevent',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('failing_since__isnull', False)), fields=['failing_since'], name='inboxevent_failing'),
        ),
        AddIndexConcurrently(
            model_name='inboxevent',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('topic__in', ('customers/data_request', 'customers/redact', 'shop/redact'))), fields=['shop', 'due_at'], name='inboxevent_compliance'),
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('failing_since__isnull', False)), fields=['failing_since'], name='order_failing'),
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('last_error__in', ['connection_paused', 'disconnected'])), fields=['connection', 'last_error'], name='order_resting'),
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('state__in', ['cancelled', 'completed', 'delivered', 'outside', 'skipped'])), fields=['changed_at'], name='order_over'),
        ),
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('state__in', ['finalized', 'on_hold', 'received', 'shipped'])), fields=['connection'], name='order_living'),
        ),
        AddIndexConcurrently(
            model_name='parcel',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('failing_since__isnull', False)), fields=['failing_since'], name='parcel_failing'),
        ),
        AddIndexConcurrently(
            model_name='parcel',
            index=models.Index(condition=models.Q(('last_error', 'connection_paused')), fields=['shop', 'order'], name='parcel_resting'),
        ),
    ]
