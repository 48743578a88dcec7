from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connector', '0007_grant_of_the_seller'),
    ]

    operations = [
        migrations.AddField(
            model_name='order',
            name='cancel_due_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='cancel_request',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
    ]
