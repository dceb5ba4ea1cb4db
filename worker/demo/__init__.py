"""The demonstration: a seeded shop or real purchases, sent through a broker in this process and read by the worker."""
