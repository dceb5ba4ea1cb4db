"""Three well-known ways of daily aggregation beside the worker's own, on the same nights of late data: what each reads, and gets wrong."""
