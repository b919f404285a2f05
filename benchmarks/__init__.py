"""What the library costs, measured: `python -m benchmarks.NAME` each, results in `LOG.md`."""
