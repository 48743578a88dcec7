"""The table of the bare view (bare.py), apart from it: importing that module configures Django."""

CREATE = """CREATE TABLE IF NOT EXISTS bench_bare
            (key text PRIMARY KEY, topic text, body text, at timestamptz DEFAULT now())"""
INSERT = "INSERT INTO bench_bare (key, topic, body) VALUES (%s, %s, %s)"
