"""The benchmark, `make bench`: a seeded shop (data.py) in Avro (encoding.py) on a real broker (topics.py), read by the whole worker in a
process of its own (engine.py), judged by figures that numpy made of the same shop, and reported by stage (report.py).
"""
