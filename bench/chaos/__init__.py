"""`make chaos`: the real processes under load, faults and kills, and then an account of what became of every order."""
