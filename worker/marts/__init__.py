"""Derived tables: a mart is data (definition), computed from what has changed (scope), in one transaction (refresh), when it is due."""
