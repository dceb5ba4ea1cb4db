"""Jobs beside the live stream: replay, backfill, rebuild, compact. Each is a row of table job that moves in the same transaction as its work."""
