"""Every mart of the contract recomputed in plain Python, written from the contract alone, apart from the SQL of the marts.

Rows are dicts, tables are lists of rows, sums are Python integers, weights are fractions where they are rational. `events.Facts` is what
a mart may know; each other module is a family of marts. Where the contract leaves a choice, the docstring says which reading is taken.
"""
