"""The mathematics of the marts: arrays in, arrays out. It knows no DuckDB; it is imported when first used, for scipy takes its time."""
