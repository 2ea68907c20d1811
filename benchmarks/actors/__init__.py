"""The roles of the suites with several processes, one module per peer; they run in processes of `benchmarks.actor`."""
