-- tombstone: all of it; there are few, and they are looked through.
-- reads: tombstone
from tombstone
