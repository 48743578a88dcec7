from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("connector", "0006_not_ready")]
    # When the grant ends is the seller's. The column stays, as the former version reads and writes it.
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="connection", name="grant_ends_at")]
        )
    ]
