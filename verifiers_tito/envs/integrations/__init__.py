"""Where environments written for `verifiers` look for the adapters of other packages."""
