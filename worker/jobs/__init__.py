"""Jobs beside the live stream: replay, backfill, rebuild, compact. Each is a row of table job and moves in the transactions of its work."""
