"""What others see of a worker: metrics, health and status over HTTP; queries and commands through the admin socket."""
