"""The benchmark, `make bench`: a seeded shop (data.py, columns.py) in Avro (avro.py, encoding.py) on a real broker (topics.py), read by
the whole worker in a process of its own (engine.py), judged by figures that numpy made of the same shop (figures.py), and reported by
stage (report.py, record.py). workbench.py holds what all scenarios need.
"""
